/** Sessions: the way in which everything reaches a database. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';
import { getConfig } from '../config/db-config.js';
import { currentEnv } from '../core/environment.js';
import { normalizeEnv } from '../core/environment-names.js';
import { ManageDbError } from '../core/errors.js';
import { currentActor } from './actor.js';
import { PIN_TRANSACTION } from './catalog-path.js';
import { addressOf, connectionError } from './connection/connection-errors.js';
import { engineFor } from './connection/engine.js';
import { discardEngine, type Engine } from './connection/open-engines.js';
import { DROP_SET_ROLE } from './neutral-settings.js';
import {
  type DbSession,
  type OpenSession,
  openSession,
  runNested,
  runTransaction,
  type SessionOptions,
} from './session.js';

export { connectForOperation } from './connection/engine.js';
export { closeEngines } from './connection/open-engines.js';
export type { DbSession, SessionOptions } from './session.js';

let nestedTransactions = false;
const sessions = new AsyncLocalStorage<OpenSession>();

/**
 * Whether a `getDbSession` inside another one of the same environment becomes a savepoint of it (`true`), or a
 * transaction of its own on another connection (`false`, the default).
 *
 * @example useNestedTransactions(true);
 */
export function useNestedTransactions(enabled: boolean): void {
  nestedTransactions = enabled;
}

/**
 * Runs `fn` in a transaction: commits when it returns, rolls back when it throws. The acting user is set for the
 * transaction only, so nothing leaks to the next user of the pooled connection, also behind PgBouncer.
 *
 * @throws ManageDbError configuration and connection codes, `INTERRUPTED` when `signal` fires, `SQL_FAILED` when a
 *   statement failed and its error was swallowed; other errors of `fn` come through as they are
 * @example
 * const { rows } = await getDbSession((session) => session.query('select * from patients where id = $1', [id]));
 */
export async function getDbSession<T>(
  fn: (session: DbSession) => Promise<T>,
  options: SessionOptions = {},
): Promise<T> {
  const environment = options.env === undefined ? currentEnv() : normalizeEnv(options.env);
  if (options.signal?.aborted)
    throw new ManageDbError('INTERRUPTED', `Interrupted before a session on ${environment} was opened.`);
  const inside = (session: OpenSession): Promise<T> => sessions.run(session, () => fn(session));
  const outer = sessions.getStore();
  if (nestedTransactions && outer !== undefined && outer.environment === environment) {
    return runNested(outer, options.user ?? currentActor() ?? outer.user, inside, options);
  }
  const { engine, client } = await borrow(environment);
  const session = openSession(engine, client, options.user ?? currentActor() ?? '', options);
  return runTransaction(session, inside, options);
}

/**
 * {@link getDbSession} for what manage_db itself asks and does: nothing of the database's search_path takes part in it.
 *
 * @throws ManageDbError as {@link getDbSession}
 */
export function getOperationSession<T>(
  fn: (session: DbSession) => Promise<T>,
  options: SessionOptions = {},
): Promise<T> {
  const isNested = sessions.getStore() !== undefined;
  return getDbSession(async (session) => {
    const before = isNested ? await session.query<{ search_path: string }>('show search_path') : null;
    await session.query(PIN_TRANSACTION);
    // around a nested one, the role may be the caller's own
    if (!isNested) await session.query(DROP_SET_ROLE);
    const result = await fn(session);
    // releasing a savepoint keeps what was set in it
    if (before !== null)
      await session.query(`select pg_catalog.set_config('search_path', $1, true)`, [before.rows[0]?.search_path]);
    return result;
  }, options);
}

/**
 * The `pg` pool of an environment (the active one by default), for what sessions do not cover. What is written through
 * it carries no actor.
 *
 * @throws ManageDbError configuration and connection codes
 * @example const { rows } = await (await getDbEngine('testing')).query('select 1');
 */
export async function getDbEngine(env?: string): Promise<pg.Pool> {
  return (await engineFor(env)).pool;
}

/**
 * Runs `fn` on a pooled connection without a transaction around it, for single statements that must not wait for one.
 *
 * @throws ManageDbError configuration and connection codes; what `fn` throws
 */
export async function withPooledConnection<T>(
  environment: string,
  fn: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const { client } = await borrow(environment);
  let broken: Error | boolean = false;
  const noteBroken = (error: Error): void => {
    broken = error;
  };
  client.on('error', noteBroken);
  try {
    return await fn(client);
  } finally {
    client.off('error', noteBroken);
    client.release(broken);
  }
}

interface Borrowed {
  readonly engine: Engine;
  readonly client: pg.PoolClient;
}

async function borrow(environment: string): Promise<Borrowed> {
  const engine = await engineFor(environment);
  try {
    return { engine, client: await engine.pool.connect() };
  } catch (error) {
    if (isExhausted(engine.pool)) throw poolExhausted(engine);
    const wasClosed = engine.pool.ending;
    // the host that was chosen may be gone: choose among all of them once more, and let that decide
    discardEngine(engine);
    const { connection } = await getConfig(environment);
    if (!wasClosed && connection.hosts.length === 1)
      throw connectionError(error, engine.settings, addressOf(engine.settings));
    return borrowAgain(environment);
  }
}

async function borrowAgain(environment: string): Promise<Borrowed> {
  const engine = await engineFor(environment);
  try {
    return { engine, client: await engine.pool.connect() };
  } catch (error) {
    throw connectionError(error, engine.settings, addressOf(engine.settings));
  }
}

function isExhausted(pool: pg.Pool): boolean {
  return !pool.ending && pool.idleCount === 0 && pool.totalCount >= pool.options.max;
}

function poolExhausted({ settings }: Engine): ManageDbError {
  return new ManageDbError(
    'TOO_MANY_CONNECTIONS',
    `All ${settings.pool.max} connections of this process to ${settings.environment} are in use, and none came back within ${settings.connectTimeoutMs / 1000} s.`,
    {
      hint: 'A session inside a session needs a second connection: useNestedTransactions(true) makes it a savepoint. Or raise DATABASE_POOL_MAX.',
      details: { environment: settings.environment, max: settings.pool.max },
    },
  );
}
