import type { Client } from 'pg';
import type { ConnectionSettings } from '../config/connection-settings.js';
import { codeOf, ManageDbError } from '../core/errors.js';
import type { Queryable } from '../database/queryable.js';
import { PIN_SESSION } from './catalog-path.js';
import { connectForOperation, connectTo } from './connection/engine.js';

/** Every limit that would end a session which waits for pg_dump or pg_restore, as far as this server knows it. */
const LIFT_TIMEOUTS = `
  select pg_catalog.set_config(name, '0', $1)
  from pg_catalog.pg_settings
  where name operator(pg_catalog.=) any (array['statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout',
    'transaction_timeout']::pg_catalog.text[])`;

export interface ConnectionOptions {
  readonly database?: string;
  /** Aborting it breaks the connection off, and so the statement that waits in it. */
  readonly signal?: AbortSignal | undefined;
  /**
   * `application`: the search_path and the other settings are the database's and the login's, for SQL that is not ours. By
   * default only PostgreSQL's own schema, and its defaults.
   */
  readonly searchPath?: 'catalog' | 'application';
}

/** Runs `work` on a connection of its own without time limits. */
export async function withConnection<T>(
  settings: ConnectionSettings,
  { database, signal, searchPath = 'catalog' }: ConnectionOptions,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const connect = searchPath === 'application' ? connectTo : connectForOperation;
  const client = await connect(settings, {
    ...(database === undefined ? {} : { database }),
    ...(signal === undefined ? {} : { signal }),
  });
  // a connection that breaks while nothing runs in it is noticed by the next statement, not by an uncaught event
  client.on('error', () => undefined);
  const breakOff = () => void client.end().catch(() => undefined);
  signal?.addEventListener('abort', breakOff, { once: true });
  try {
    if (searchPath === 'application') await client.query(PIN_SESSION);
    await liftTimeouts(client, 'session');
    if (searchPath === 'application') await client.query('reset search_path');
    return await work(client);
  } finally {
    signal?.removeEventListener('abort', breakOff);
    await giveBack(client);
    await client.end().catch(() => undefined);
  }
}

/** A pooler gives the session of the server to others afterwards. What still runs in it is about to be broken off. */
async function giveBack(client: Client): Promise<void> {
  const { readyForQuery } = client as unknown as { readonly readyForQuery: boolean };
  if (!readyForQuery) return;
  // where none is open, the server would write a warning into its log
  const rollback = client.getTransactionStatus() === 'I' ? '' : 'rollback; ';
  await client.query(`${rollback}reset session authorization; reset role; reset all`).catch(() => undefined);
}

/** Lifts every limit that would end a session of ours: until its end, or for the open transaction. */
export async function liftTimeouts(db: Queryable, until: 'session' | 'transaction'): Promise<void> {
  await db.query(LIFT_TIMEOUTS, [until === 'transaction']);
}

/** Runs `work` on a connection to a database of the same server that is not the target: a rename needs one. */
export async function withMaintenanceConnection<T>(
  settings: ConnectionSettings,
  work: (client: Client, database: string) => Promise<T>,
): Promise<T> {
  const candidates = ['postgres', 'template1'].filter((name) => name !== settings.database);
  let last: unknown;
  for (const database of candidates) {
    let connected = false;
    try {
      return await withConnection(settings, { database }, (client) => {
        connected = true;
        return work(client, database);
      });
    } catch (error) {
      if (connected || !(codeOf(error) === 'DATABASE_MISSING' && error instanceof ManageDbError)) throw error;
      last = error;
    }
  }
  throw last;
}
