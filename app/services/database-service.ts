/** Sessions: the way in which everything reaches a database. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type pg from 'pg';
import type { QueryResult, QueryResultRow } from 'pg';
import { getConfig } from '../config/db-config.js';
import { currentEnv, normalizeEnv } from '../core/environment.js';
import { ManageDbError } from '../core/errors.js';
import type { Queryable } from '../database/queryable.js';
import { currentActor } from './actor.js';
import { connectionError, isConnectionFailure } from './connection/connection-errors.js';
import { connectTo, engineFor } from './connection/engine.js';
import { discardEngine, type Engine } from './connection/open-engines.js';
import { reported } from './debug-mode.js';

export { connectTo } from './connection/engine.js';
export { closeEngines } from './connection/open-engines.js';

/** One transaction on one connection. */
export interface DbSession extends Queryable {
  readonly environment: string;
  /** The pooled client, for what a `Queryable` cannot do (COPY, cursors). */
  readonly client: pg.PoolClient;
}

export interface SessionOptions {
  /** The active environment by default. */
  readonly env?: string;
  /** The acting user; the one of `withActor` by default. Reaches triggers as `app.current_user`. */
  readonly user?: string;
  readonly readOnly?: boolean;
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable';
  /** Cancels the running statement and rolls back. */
  readonly signal?: AbortSignal;
}

interface OpenSession extends DbSession {
  readonly engine: Engine;
  readonly user: string;
  /** Savepoints of one transaction cannot overlap: the next nested session waits for this. */
  nested: Promise<unknown>;
  /** The connection has gone back to the pool and may be somebody else's. */
  isOver: boolean;
}

let nestedTransactions = false;
const sessions = new AsyncLocalStorage<OpenSession>();

/**
 * Whether a `getDbSession` inside another one of the same environment becomes a savepoint of it (`true`), or a
 * transaction of its own on another connection (`false`, the default).
 */
export function useNestedTransactions(enabled: boolean): void {
  nestedTransactions = enabled;
}

/**
 * Runs `fn` in a transaction: commits when it returns, rolls back when it throws. The acting user is set for the
 * transaction only, so nothing leaks to the next user of the pooled connection, also behind PgBouncer.
 *
 * @throws ManageDbError configuration and connection codes, `INTERRUPTED` when `signal` fires; statements' own errors
 *   come through as `pg` throws them
 * @example
 * const { rows } = await getDbSession((session) => session.query('select * from patients where id = $1', [id]));
 */
export async function getDbSession<T>(
  fn: (session: DbSession) => Promise<T>,
  options: SessionOptions = {},
): Promise<T> {
  const environment = options.env === undefined ? currentEnv() : normalizeEnv(options.env);
  const outer = sessions.getStore();
  if (nestedTransactions && outer !== undefined && outer.environment === environment)
    return nestedSession(outer, fn, options);
  const { engine, client } = await borrow(environment);
  const session: OpenSession = {
    environment,
    client,
    engine,
    user: options.user ?? currentActor() ?? '',
    nested: Promise.resolve(),
    isOver: false,
    async query<Row extends QueryResultRow>(text: string, values?: unknown[]): Promise<QueryResult<Row>> {
      if (session.isOver) throw sessionIsOver(environment);
      return reported(text, values, () => client.query<Row>(text, values));
    },
  };
  return transaction(session, fn, options);
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

function sessionIsOver(environment: string): ManageDbError {
  return new ManageDbError('USAGE', `A statement was sent to a session on ${environment} that is over.`, {
    hint: 'Await everything inside the function that getDbSession runs, or open another session.',
  });
}

async function borrow(environment: string): Promise<{ readonly engine: Engine; readonly client: pg.PoolClient }> {
  const engine = await engineFor(environment);
  try {
    return { engine, client: await engine.pool.connect() };
  } catch (error) {
    if (isPoolExhausted(engine.pool)) throw poolExhausted(engine);
    // the host that was chosen may be gone: choose among all of them once more, and let that decide
    await discardEngine(engine);
    const { connection } = await getConfig(environment);
    if (connection.hosts.length === 1) throw connectionError(error, engine.settings, addressOf(engine));
    const other = await engineFor(environment);
    return { engine: other, client: await other.pool.connect() };
  }
}

function isPoolExhausted(pool: pg.Pool): boolean {
  return pool.idleCount === 0 && pool.totalCount >= pool.options.max;
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

async function transaction<T>(
  session: OpenSession,
  fn: (session: DbSession) => Promise<T>,
  options: SessionOptions,
): Promise<T> {
  const { client, engine } = session;
  let broken: Error | undefined;
  const noteBroken = (error: Error): void => {
    broken = error;
  };
  client.on('error', noteBroken);
  const stopListening = cancelOnAbort(session, options.signal);
  try {
    await begin(session, options);
    const result = await sessions.run(session, () => fn(session));
    await session.nested;
    options.signal?.throwIfAborted();
    await session.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(noteBroken);
    if (options.signal?.aborted) {
      throw new ManageDbError(
        'INTERRUPTED',
        `Interrupted; the transaction on ${session.environment} was rolled back.`,
        { cause: error },
      );
    }
    throw isConnectionFailure(error) ? connectionError(error, engine.settings, addressOf(engine)) : error;
  } finally {
    stopListening();
    client.off('error', noteBroken);
    session.isOver = true;
    client.release(broken ?? false);
  }
}

async function begin(session: OpenSession, options: SessionOptions): Promise<void> {
  const { statementTimeoutMs, lockTimeoutMs, idleInTransactionTimeoutMs } = session.engine.settings.pool;
  const isolation = options.isolation === undefined ? '' : ` isolation level ${options.isolation}`;
  await session.query(`begin${isolation}${options.readOnly ? ' read only' : ''}`);
  // transaction-local, also the empty user: a value that somebody set for the whole session must not show through
  await session.query(
    `select pg_catalog.set_config('app.current_user', $1, true)
          , case when $2 <> '0' then pg_catalog.set_config('statement_timeout', $2, true) end
          , case when $3 <> '0' then pg_catalog.set_config('lock_timeout', $3, true) end
          , case when $4 <> '0' then pg_catalog.set_config('idle_in_transaction_session_timeout', $4, true) end`,
    [session.user, String(statementTimeoutMs), String(lockTimeoutMs), String(idleInTransactionTimeoutMs)],
  );
}

function nestedSession<T>(
  outer: OpenSession,
  fn: (session: DbSession) => Promise<T>,
  options: SessionOptions,
): Promise<T> {
  const running = outer.nested.then(() => savepoint(outer, fn, options));
  outer.nested = running.catch(() => undefined);
  return running;
}

async function savepoint<T>(
  outer: OpenSession,
  fn: (session: DbSession) => Promise<T>,
  options: SessionOptions,
): Promise<T> {
  const session: OpenSession = {
    ...outer,
    user: options.user ?? currentActor() ?? outer.user,
    nested: Promise.resolve(),
  };
  const setUser = (user: string) => session.query(`select pg_catalog.set_config('app.current_user', $1, true)`, [user]);
  // one name is enough: PostgreSQL means the innermost savepoint of that name
  await session.query('savepoint manage_db_nested');
  try {
    if (session.user !== outer.user) await setUser(session.user);
    const result = await sessions.run(session, () => fn(session));
    await session.nested;
    // releasing a savepoint keeps what was set in it
    if (session.user !== outer.user) await setUser(outer.user);
    await session.query('release savepoint manage_db_nested');
    return result;
  } catch (error) {
    await session.query('rollback to savepoint manage_db_nested');
    throw error;
  }
}

/** Ends the running statement when `signal` fires, from another connection: this one is busy. */
function cancelOnAbort(session: OpenSession, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return () => undefined;
  const cancel = (): void => {
    const { processID } = session.client as unknown as { readonly processID: number | null };
    if (processID !== null) void cancelBackend(session.engine, processID);
  };
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

async function cancelBackend(engine: Engine, processId: number): Promise<void> {
  try {
    const client = await connectTo(engine.settings);
    await client.query('select pg_catalog.pg_cancel_backend($1)', [processId]);
    await client.end();
  } catch {
    // nothing to add: the transaction is rolled back when the statement ends or the connection does
  }
}

function addressOf(engine: Engine) {
  return engine.settings.hosts[0] ?? { host: 'unknown', port: 0 };
}
