import type { Queryable } from '../database/queryable.js';

/** Where the server can, it looks whether we are still there, so that what runs, and its locks, end with us; not every system can. */
export async function endWithUs(db: Queryable): Promise<void> {
  await db.query(`set client_connection_check_interval = '1s'`).catch(() => undefined);
}
