import { escapeIdentifier } from 'pg';
import {
  countLargeObjects,
  readDatabaseObjects,
  UNLINK_LARGE_OBJECTS,
} from '../../../../database/catalog/database-objects.js';
import { readDroppableSchemas } from '../../../../database/catalog/droppable-schemas.js';
import { readExtensions } from '../../../../database/catalog/extensions.js';
import { readUserObjects } from '../../../../database/catalog/user-objects.js';
import { readResetStatements } from '../../../../database/catalog/what-stays.js';
import type { Queryable } from '../../../../database/queryable.js';
import { ManageDbError } from '../../../errors.js';
import type { Manifest } from '../../backup/manifest.js';
import { dropStatements } from '../../maintenance/drop-statements.js';
import { notOwned } from '../../maintenance/not-owned.js';
import { OF_CONTENTS } from './archive-contents.js';
import type { TransactionRestore } from './request.js';

export interface Dropping {
  /** What keeps writers out, while readers still read. */
  readonly locks: readonly string[];
  /** What has to go first, in order. */
  readonly statements: readonly string[];
  /** What stays because an extension lives in it, besides public. */
  readonly keptSchemas: readonly string[];
}

/**
 * What has to be locked and dropped before a backup can be restored inside the database. Nothing is dropped yet.
 *
 * @throws ManageDbError `PERMISSION_DENIED` naming what belongs to others, `USAGE` when extensions have moved
 */
export async function planDropping(db: Queryable, { target, manifest }: TransactionRestore): Promise<Dropping> {
  const inside = await readUserObjects(db);
  const schemas = await readDroppableSchemas(db);
  const outside = await readDatabaseObjects(db);
  const large = await countLargeObjects(db);
  const foreign = [
    ...inside,
    ...schemas.map((schema) => ({ kind: 'schema', ...schema })),
    ...outside,
    ...(large.foreign > 0
      ? [{ kind: 'large object', identity: `(${large.foreign})`, owner: 'others', droppable: false }]
      : []),
  ].filter(({ droppable }) => !droppable);
  if (foreign.length > 0) throw notOwned(target, foreign);
  await refuseMovedExtensions(db, manifest);
  const { rows } = await db.query<{ name: string }>(SCHEMAS);
  const droppable = new Set(schemas.map(({ name }) => name));
  const keptSchemas = rows.map(({ name }) => name).filter((name) => !droppable.has(name));
  const drop = ({ kind, identity }: { kind: string; identity: string }): string =>
    `drop ${WORDS[kind] ?? kind} if exists ${identity} cascade`;
  // tables may be of an access method
  const [last, first] = [
    outside.filter(({ kind }) => kind === 'access method'),
    outside.filter(({ kind }) => kind !== 'access method'),
  ];
  const statements = [
    ...(await readResetStatements(db, ['public', ...keptSchemas.filter((name) => name !== 'manage_db')])),
    ...first.map(drop),
    ...dropStatements(inside, schemas).map(({ sql }) => sql),
    ...last.map(drop),
    ...(large.all > 0 ? [UNLINK_LARGE_OBJECTS] : []),
    ...OF_CONTENTS.map((table) => `delete from manage_db.${table}`),
  ];
  const tables = inside.filter(({ kind }) => kind === 'table').map(({ identity }) => identity);
  return { locks: tables.map((table) => `lock table ${table} in exclusive mode`), statements, keptSchemas };
}

/** Extensions stay where they are, and what is restored looks for them where they were. */
async function refuseMovedExtensions(db: Queryable, { id, extensions }: Manifest): Promise<void> {
  const live = new Map((await readExtensions(db)).map(({ name, schema }) => [name, schema]));
  const moved = extensions.filter(({ name, schema }) => live.has(name) && live.get(name) !== schema);
  const [first] = moved;
  if (first === undefined) return;
  const list = moved.map(({ name, schema }) => `${name} (${schema}, now ${live.get(name)})`).join(', ');
  throw new ManageDbError('USAGE', `Extensions are in another schema than when ${id} was made: ${list}.`, {
    hint: `Move them back first: alter extension ${escapeIdentifier(first.name)} set schema ${escapeIdentifier(first.schema)};`,
  });
}

const SCHEMAS = `
  select n.nspname::text as name from pg_catalog.pg_namespace n
  where pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'public')`;

/** What DROP calls the kinds that the catalog names otherwise. */
const WORDS: Readonly<Record<string, string>> = { 'foreign-data wrapper': 'foreign data wrapper' };
