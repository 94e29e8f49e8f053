import type { Queryable } from '../../../database/queryable.js';

/** Runs `fn` in a transaction of `client`, which has none open; afterwards the session is as if it were new. */
export async function inTransaction<T>(client: Queryable, fn: () => Promise<T>): Promise<T> {
  await client.query('begin');
  // for a login called manage_db, "$user" in the search_path is our own schema: what a file creates does not belong there
  await client.query(
    `select pg_catalog.set_config('search_path', 'public', true) where pg_catalog.current_schema() = 'manage_db'`,
  );
  try {
    const result = await fn();
    await client.query('commit');
    return result;
  } catch (error) {
    // a connection that is lost has rolled back by itself
    await client.query('rollback').catch(() => undefined);
    throw error;
  } finally {
    // what a file has set for the session must not reach the next one
    await client.query('discard all').catch(() => undefined);
  }
}
