import type { Queryable } from '../queryable.js';

/**
 * Gives a database whose tables have just been made, without triggers yet, the row that its operation log begins with: a copy does
 * not take over the log of what it was copied from, and nothing can be logged without that row.
 */
export async function beginLog(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ is: boolean }>(
    `select pg_catalog.to_regclass('manage_db.operation_log_head') is not null as is`,
  );
  if (rows[0]?.is === true) await db.query('insert into manage_db.operation_log_head (id) values (0)');
}
