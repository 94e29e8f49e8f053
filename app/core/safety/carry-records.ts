import type { Queryable } from '../../database/queryable.js';
import { carryOperationLog, emptyOperationLog } from './operation-log/carry-over.js';

/** manage_db's tables about a database's present, not about its contents. */
const SMALL_TABLES = ['kill_switch', 'access_roles'] as const;

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

/** Once more after the swap: somebody may have engaged it in between. */
export function carryKillSwitch(present: Queryable, contents: Queryable): Promise<void> {
  return carryTable(present, contents, 'kill_switch');
}

async function carryTable(
  present: Queryable,
  contents: Queryable,
  table: (typeof SMALL_TABLES)[number],
): Promise<void> {
  const { rows } = await present.query<{ all: string }>(
    `select coalesce(pg_catalog.jsonb_agg(t), '[]')::text as all from manage_db.${table} t`,
  );
  await contents.query(`delete from manage_db.${table}`);
  await contents.query(
    `insert into manage_db.${table} select * from pg_catalog.jsonb_populate_recordset(null::manage_db.${table}, $1::jsonb)`,
    [rows[0]?.all ?? '[]'],
  );
}
