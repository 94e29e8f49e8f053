import type { Queryable } from '../../database/queryable.js';
import { readObservation } from '../../database/records/observation.js';
import { OF_CONTENTS, ownTables } from '../../database/records/own-tables.js';
import { carryOperationLog, emptyOperationLog } from './operation-log/carry-over.js';

/** manage_db's tables about a database's present, not about its contents. */
const SMALL_TABLES = ['kill_switch', 'access_roles'] as const;

/** What has been applied to a database, as JSON, without who has done it; `null`: it does not say. */
export async function readNamelessHistory(db: Queryable): Promise<string | null> {
  if (!(await readObservation(db)).hasRecords) return null;
  const { rows } = await db.query<{ all: string }>(
    `select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(m) || '{"actor": "masked"}'), '[]')::text as all
     from manage_db.migrations m`,
  );
  return rows[0]?.all ?? null;
}

/** Makes it the history of a scratch database, which is ours, with the schema manage_db in place. */
export async function writeHistory(contents: Queryable, history: string): Promise<void> {
  await contents.query(
    `insert into manage_db.migrations
     select * from pg_catalog.jsonb_populate_recordset(null::manage_db.migrations, $1::jsonb)`,
    [history],
  );
}

/**
 * Takes what manage_db knows about the definitions of a live database over into one that has the same definitions.
 *
 * @param contents a scratch database, which is ours, with the schema manage_db of the live one
 */
export async function carryDefinitionRecords(present: Queryable, contents: Queryable): Promise<void> {
  for (const table of ownTables('installation', ...OF_CONTENTS)) await carryTable(present, contents, table);
}

/**
 * Takes what manage_db knows about a live database over into the one that will replace it: the operation log, the kill
 * switch and the roles. What restored contents brought of these is of another time, or of another database.
 *
 * @param present the live database
 * @param contents the scratch database, which is ours, with the schema manage_db in place
 */
export async function carryRecords(present: Queryable, contents: Queryable): Promise<void> {
  for (const table of SMALL_TABLES) await carryTable(present, contents, table);
  await carryOperationLog(present, contents);
}

/**
 * Removes the records that contents have brought along to a place where there are none. Who was trusted where they come
 * from is not trusted here by that; the log and an engaged kill switch go on only in the same environment.
 *
 * @param contents the scratch database, which is ours, with the schema manage_db in place
 */
export async function forgetRecords(contents: Queryable, { isSameEnvironment }: { isSameEnvironment: boolean }) {
  await contents.query('delete from manage_db.access_roles');
  if (isSameEnvironment) return;
  await contents.query('delete from manage_db.kill_switch');
  await emptyOperationLog(contents);
}

/**
 * Once more after the swap: somebody may have engaged it in between, on either side. What is engaged stays so until it is
 * released by somebody, which is never taken back, so that whichever side knows of it is right.
 *
 * @param contents the live database by now
 */
export async function carryKillSwitch(previous: Queryable, contents: Queryable): Promise<void> {
  await contents.query(ADD_ENGAGEMENTS, [await rowsOf(previous, 'kill_switch')]);
}

/** One statement: at no moment is nothing engaged. */
const ADD_ENGAGEMENTS = `
  insert into manage_db.kill_switch as known
  select * from pg_catalog.jsonb_populate_recordset(null::manage_db.kill_switch, $1::jsonb)
  on conflict (id) do update set released_at = excluded.released_at, released_by = excluded.released_by,
    release_actor = excluded.release_actor, release_reason = excluded.release_reason
  where known.released_at is null and excluded.released_at is not null`;

async function carryTable(present: Queryable, contents: Queryable, table: string): Promise<void> {
  const all = await rowsOf(present, table);
  await contents.query(`delete from manage_db.${table}`);
  await contents.query(
    `insert into manage_db.${table} select * from pg_catalog.jsonb_populate_recordset(null::manage_db.${table}, $1::jsonb)`,
    [all],
  );
}

/** As JSON. */
async function rowsOf(db: Queryable, table: string): Promise<string> {
  const { rows } = await db.query<{ all: string }>(
    `select coalesce(pg_catalog.jsonb_agg(t), '[]')::text as all from manage_db.${table} t`,
  );
  return rows[0]?.all ?? '[]';
}
