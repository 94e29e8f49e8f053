import type { Client } from 'pg';
import {
  type RelationInPlace,
  readMaterializedViewsOf,
  readRelationsInPlace,
} from '../../../../database/catalog/tables-in-place.js';
import type { Queryable } from '../../../../database/queryable.js';
import { asManageDbError } from '../../../../services/database-errors.js';
import { withConnection } from '../../../../services/with-connection.js';
import type { OperationControls } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import { searchPathOf, underSearchPath } from '../../database-state/search-path.js';
import { qualified } from '../../inspection/find-relation.js';
import type { Manifest } from '../../manifest/manifest.js';
import type { Archive } from './archive.js';
import type { Chosen } from './choose-tables.js';

/** What restoring a part inside a database gives up, whatever the part. */
const GIVEN_UP =
  'These tables are of another moment than the rest of the database: foreign keys were checked, other agreements between tables were not. Triggers did not fire, so no audit log lists the rows.';

export interface Restored {
  readonly target: Target;
  readonly manifest: Manifest;
  readonly archive: Archive;
  readonly chosen: Chosen;
  readonly controls: OperationControls;
}

/** What there is to know about what was restored, and its statistics. What is committed is not undone by what is found then. */
export async function lookAround(restored: Restored): Promise<string[]> {
  const { target, archive, chosen } = restored;
  try {
    return await withConnection(target.settings, {}, async (db) => {
      const live = await readRelationsInPlace(db, chosen.tables);
      const oids = live.map(({ oid }) => oid);
      return [
        GIVEN_UP,
        ...(await readMaterializedViewsOf(db, oids)).map(
          (view) => `The materialized view ${view} shows what was there before: refresh materialized view ${view};`,
        ),
        ...(await readLostViews(db, archive, chosen)),
        ...(await readUnknownTables(db, chosen, archive)),
        ...(await analyze(db, live, restored)),
      ];
    });
  } catch (error) {
    return [GIVEN_UP, `The tables are restored; what follows could not be done: ${asManageDbError(error).message}`];
  }
}

async function analyze(
  db: Queryable,
  live: readonly RelationInPlace[],
  { manifest, controls }: Restored,
): Promise<string[]> {
  try {
    controls.onProgress?.({ step: 'analyzing' });
    await underSearchPath(db, searchPathOf(manifest.properties), async () => {
      for (const { identity } of live) await db.query(`analyze ${identity}`);
    });
    return [];
  } catch (error) {
    const names = live.map(({ identity }) => identity).join(', ');
    return [
      `The tables are restored, and not all of them could be analyzed: ${asManageDbError(error).message} Later: analyze ${names};`,
    ];
  }
}

/** Views that went with a table: they are not made again, since more may hang on them. */
async function readLostViews(db: Client, archive: Archive, { tables }: Chosen): Promise<string[]> {
  const ids = new Set(tables.map(({ id }) => id));
  const views = archive.entries.filter(
    ({ kind, needs }) => (kind === 'VIEW' || kind === 'MATERIALIZED VIEW') && needs.some((need) => ids.has(need)),
  );
  if (views.length === 0) return [];
  const { rows } = await db.query<{ said: string }>(
    `select n.nspname || ' ' || c.relname || ' ' as said from pg_catalog.pg_class c
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', 'm')`,
  );
  return views
    .filter(({ said }) => !rows.some((row) => said.startsWith(row.said)))
    .map(({ said }) => `A view of the backup is not there: ${said.replace(/ \S+$/, '').replace(' ', '.')}.`);
}

/** What a schema has got since stays. */
async function readUnknownTables(db: Client, { schemas }: Chosen, archive: Archive): Promise<string[]> {
  if (schemas.length === 0) return [];
  const known = await archive.tables();
  const { rows } = await db.query<{ schema: string; name: string }>(
    `select n.nspname::text as schema, c.relname::text as name from pg_catalog.pg_class c
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p') and not c.relispartition order by 1, 2`,
    [schemas],
  );
  return rows
    .filter(({ schema, name }) => !known.some((table) => table.schema === schema && table.name === name))
    .map((table) => `The table ${qualified(table)} is not in the backup, and stays as it is.`);
}
