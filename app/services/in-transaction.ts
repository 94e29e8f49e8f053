import { ManageDbError } from '../core/errors.js';
import type { Queryable } from '../database/queryable.js';
import { liftTimeouts } from './with-connection.js';

/** Runs `fn` in a transaction of `client`, which has none open; afterwards the session is as if it were new. */
export async function inTransaction<T>(client: Queryable, fn: () => Promise<T>): Promise<T> {
  await client.query('begin');
  // for a login called manage_db, "$user" in the search_path is our own schema: what a file creates does not belong there
  await client.query(
    `select pg_catalog.set_config('search_path', 'public', true) where pg_catalog.current_schema() operator(pg_catalog.=) 'manage_db'`,
  );
  // also for a connection whose limits were not lifted
  await liftTimeouts(client, 'transaction');
  try {
    const result = await fn();
    await commit(client);
    return result;
  } catch (error) {
    // a connection that is lost has rolled back by itself
    await client.query('rollback').catch(() => undefined);
    throw error;
  } finally {
    // what a file has set for the session must not reach the next one; the limits are wanted by whoever comes next
    await client
      .query('discard all')
      .then(() => liftTimeouts(client, 'session'))
      .catch(() => undefined);
  }
}

/** PostgreSQL answers `commit` of a transaction in which a statement failed with ROLLBACK, and without an error. */
async function commit(client: Queryable): Promise<void> {
  const { command } = await client.query('commit');
  if (command !== 'ROLLBACK') return;
  throw new ManageDbError('SQL_FAILED', 'The server rolled the transaction back instead of committing it.', {
    hint: 'A statement in it had failed before: look into the log of the server.',
  });
}
