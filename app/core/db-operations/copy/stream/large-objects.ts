import { type Client, escapeIdentifier, escapeLiteral } from 'pg';
import {
  type LargeObject,
  type LargeObjectGrant,
  readLargeObjects,
} from '../../../../database/catalog/large-objects.js';
import { copyBetween } from '../../../../services/connection/copy-between.js';
import type { LeftOutParts } from '../../backup/left-out-parts.js';
import { naming } from './copy-error.js';

/** Objects that are copied at a time, and the bytes of each that are: 64 MB at most wait in the scratch database. */
const BATCH = 256;
const PIECE_BYTES = 256 * 1024;

/**
 * Copies all large objects with their owners, grants and comments, as they are in the snapshot that `source` sees. Their pages
 * themselves only superusers could read and write.
 *
 * @param scratch a session in the scratch database, with a temporary table of its own
 */
export async function copyLargeObjects(
  source: Client,
  scratch: Client,
  { parts, onCopied }: { readonly parts: LeftOutParts; readonly onCopied: (objects: number) => void },
): Promise<void> {
  await naming('The large objects could not be copied', async () => {
    let after = 0;
    let copied = 0;
    for (;;) {
      const objects = await readLargeObjects(source, { after, count: BATCH });
      const last = objects.at(-1);
      if (last === undefined) break;
      if (after === 0) await scratch.query(PIECES);
      const oids = objects.map(({ oid }) => oid);
      await scratch.query('select pg_catalog.lo_create(o) from pg_catalog.unnest($1::oid[]) o', [oids]);
      await copyContents(source, scratch, oids);
      await scratch.query(objects.map((object) => belongings(object, parts)).join(''));
      after = last.oid;
      copied += objects.length;
      onCopied(copied);
    }
    if (copied > 0) await scratch.query('drop table pg_temp.pieces');
  });
}

const PIECES = `
  create temporary table pieces (id oid, piece bytea);
  alter table pg_temp.pieces alter piece set storage external`;

async function copyContents(source: Client, scratch: Client, all: readonly number[]): Promise<void> {
  let oids = all;
  for (let place = 0; oids.length > 0; place += PIECE_BYTES) {
    const pieces = `select o, pg_catalog.lo_get(o, ${place}, ${PIECE_BYTES}) from pg_catalog.unnest('{${oids.join(',')}}'::oid[]) o`;
    await copyBetween(
      { client: source, statement: `copy (${pieces}) to stdout (format binary)` },
      { client: scratch, statement: 'copy pg_temp.pieces from stdin (format binary)' },
    );
    const { rows } = await scratch.query<{ oid: number }>(
      `with put as materialized (
        select p.id, pg_catalog.octet_length(p.piece) as bytes, pg_catalog.lo_put(p.id, $1, p.piece) from pg_temp.pieces p)
      select p.id as oid from put p where p.bytes = $2 order by 1`,
      [place, PIECE_BYTES],
    );
    await scratch.query('truncate pg_temp.pieces');
    oids = rows.map(({ oid }) => oid);
  }
}

/** The comment before the owner, the owner before the grants: who has given it away may not do it any more. */
function belongings({ oid, owner, comment, grants }: LargeObject, parts: LeftOutParts): string {
  const statements = [
    ...(comment === null ? [] : [`comment on large object ${oid} is ${escapeLiteral(comment)}`]),
    ...(parts.owners ? [] : [`alter large object ${oid} owner to ${escapeIdentifier(owner)}`]),
    ...(parts.grants || grants === null ? [] : grantStatements(oid, owner, grants)),
  ];
  return statements.map((statement) => `${statement};\n`).join('');
}

function grantStatements(oid: number, owner: string, grants: readonly LargeObjectGrant[]): string[] {
  return [
    `revoke all on large object ${oid} from ${escapeIdentifier(owner)}`,
    ...grants.flatMap(({ grantee, grantor, privilege, isGrantable }) => {
      const to = grantee === null ? 'public' : escapeIdentifier(grantee);
      const grant = `grant ${privilege} on large object ${oid} to ${to}${isGrantable ? ' with grant option' : ''}`;
      if (grantor === owner) return [grant];
      // what somebody has passed on is theirs to take back
      return [`set session authorization ${escapeIdentifier(grantor)}`, grant, 'reset session authorization'];
    }),
  ];
}
