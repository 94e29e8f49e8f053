/** What a session is made of: one transaction, its savepoints, its end. The public face is database-service.ts. */
import type pg from 'pg';
import type { QueryResult, QueryResultRow } from 'pg';
import { ManageDbError } from '../core/errors.js';
import type { Queryable } from '../database/queryable.js';
import { connectionLost, isConnectionLost } from './connection/connection-errors.js';
import { openConnection, SINGLE_CLIENT } from './connection/open-connection.js';
import type { Engine } from './connection/open-engines.js';
import { reported } from './debug-mode.js';

/** One transaction on one connection. */
export interface DbSession extends Queryable {
  readonly environment: string;
  /** The acting user, as triggers see it in `app.current_user`; empty where there is none. */
  readonly user: string;
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

export interface OpenSession extends DbSession {
  readonly engine: Engine;
  readonly isolation: SessionOptions['isolation'];
  /** `failed`: it will be rolled back, nothing new may begin. `over`: the connection may be somebody else's. */
  state: 'open' | 'failed' | 'over';
  /** Savepoints of one transaction cannot overlap: the next nested session waits for this. Never rejects. */
  nested: Promise<unknown>;
}

type Work<T> = (session: OpenSession) => Promise<T>;

export function openSession(engine: Engine, client: pg.PoolClient, user: string, options: SessionOptions): OpenSession {
  const session: OpenSession = {
    environment: engine.settings.environment,
    client,
    engine,
    user,
    isolation: options.isolation,
    state: 'open',
    nested: Promise.resolve(),
    async query<Row extends QueryResultRow>(text: string, values?: unknown[]): Promise<QueryResult<Row>> {
      if (session.state === 'over') throw sessionIsOver(session);
      // a cancellation that finds no statement running ends nothing
      if (session.state === 'open' && options.signal?.aborted) throw interrupted(session);
      return reported(text, values, () => client.query<Row>(text, values));
    },
  };
  return session;
}

/**
 * Runs `work` in the session's transaction, and gives its connection back, whatever happens.
 *
 * @throws what `work` throws; ManageDbError `INTERRUPTED`, `CONNECTION_LOST`, and `SQL_FAILED` when the server rolled
 *   back although `work` returned
 */
export async function runTransaction<T>(session: OpenSession, work: Work<T>, options: SessionOptions): Promise<T> {
  const { client } = session;
  let broken: Error | null = null;
  const noteBroken = (error: Error): void => {
    broken = error;
  };
  client.on('error', noteBroken);
  const cancellation = cancelOnAbort(session, options.signal);
  let isCommitting = false;
  try {
    await begin(session, options);
    const result = await work(session);
    await session.nested;
    if (options.signal?.aborted) throw interrupted(session);
    isCommitting = true;
    await commit(session);
    return result;
  } catch (error) {
    // what is queued must not begin any more, and what runs must end before the connection goes back
    session.state = 'failed';
    await session.nested;
    await client.query('rollback').catch(noteBroken);
    if (broken !== null || isConnectionLost(error)) {
      throw connectionLost(broken ?? error, session.engine.settings, isCommitting ? 'committing' : 'working');
    }
    throw options.signal?.aborted ? interrupted(session, error) : error;
  } finally {
    session.state = 'over';
    await cancellation.done();
    client.off('error', noteBroken);
    client.release(broken ?? false);
  }
}

/**
 * Runs `work` in a savepoint of `outer`, after those that were asked for before it.
 *
 * @throws what `work` throws; ManageDbError `USAGE` when `outer` is over, or has another isolation
 */
export function runNested<T>(outer: OpenSession, user: string, work: Work<T>, options: SessionOptions): Promise<T> {
  if (options.isolation !== undefined && options.isolation !== outer.isolation) {
    throw new ManageDbError(
      'USAGE',
      `A nested session cannot have another isolation (${options.isolation}) than the one around it.`,
      {
        hint: 'Ask for it in the outer session: PostgreSQL fixes the isolation of a transaction at its first statement.',
      },
    );
  }
  const running = outer.nested.then(() => {
    if (outer.state !== 'open') throw sessionIsOver(outer);
    return savepoint(outer, user, work, options);
  });
  outer.nested = running.catch(() => undefined);
  return running;
}

async function savepoint<T>(outer: OpenSession, user: string, work: Work<T>, options: SessionOptions): Promise<T> {
  if (options.signal?.aborted) throw interrupted(outer);
  const session: OpenSession = {
    ...outer,
    user,
    state: 'open',
    nested: Promise.resolve(),
    async query<Row extends QueryResultRow>(text: string, values?: unknown[]): Promise<QueryResult<Row>> {
      if (options.signal?.aborted) throw interrupted(outer);
      return outer.query<Row>(text, values);
    },
  };
  const setUser = (name: string) => outer.query(`select pg_catalog.set_config('app.current_user', $1, true)`, [name]);
  const cancellation = cancelOnAbort(outer, options.signal);
  // one name is enough: PostgreSQL means the innermost savepoint of that name
  await outer.query('savepoint manage_db_nested');
  try {
    // ends with the savepoint, as PostgreSQL keeps it per subtransaction
    if (options.readOnly) await outer.query('set local transaction_read_only = on');
    if (user !== outer.user) await setUser(user);
    const result = await work(session);
    await session.nested;
    // releasing a savepoint keeps what was set in it
    if (user !== outer.user) await setUser(outer.user);
    await outer.query('release savepoint manage_db_nested');
    return result;
  } catch (error) {
    session.state = 'failed';
    await session.nested;
    // where that is not possible the outer transaction is lost anyway; the first error is the telling one
    await outer.query('rollback to savepoint manage_db_nested').catch(() => undefined);
    throw options.signal?.aborted ? interrupted(outer, error) : error;
  } finally {
    session.state = 'over';
    await cancellation.done();
  }
}

async function begin(session: OpenSession, options: SessionOptions): Promise<void> {
  const { statementTimeoutMs, lockTimeoutMs, idleInTransactionTimeoutMs } = session.engine.settings.pool;
  const isolation = options.isolation === undefined ? '' : ` isolation level ${options.isolation}`;
  await session.query(`begin${isolation}${options.readOnly ? ' read only' : ''}`);
  const limits = [
    ['statement_timeout', statementTimeoutMs],
    ['lock_timeout', lockTimeoutMs],
    ['idle_in_transaction_session_timeout', idleInTransactionTimeoutMs],
  ] as const;
  const wanted = limits.filter(([, ms]) => ms !== 0);
  const settings = wanted.map(([name], index) => `, pg_catalog.set_config('${name}', $${index + 2}, true)`);
  // Transaction-local, also the empty user: a value that somebody set for the whole session must not show through.
  // Without operators: those of the database's search_path need not be PostgreSQL's.
  await session.query(`select pg_catalog.set_config('app.current_user', $1, true)${settings.join('')}`, [
    session.user,
    ...wanted.map(([, ms]) => String(ms)),
  ]);
}

/** PostgreSQL answers `commit` of a transaction in which a statement failed with ROLLBACK, and without an error. */
async function commit(session: OpenSession): Promise<void> {
  const { command } = await session.query('commit');
  if (command !== 'ROLLBACK') return;
  throw new ManageDbError(
    'SQL_FAILED',
    `Nothing was committed on ${session.environment}: a statement of the session had failed, and its error was ignored.`,
    {
      hint: 'Let the error through, or put a statement that may fail into a nested session (useNestedTransactions(true)).',
    },
  );
}

function sessionIsOver({ environment }: OpenSession): ManageDbError {
  return new ManageDbError('USAGE', `A statement was sent to a session on ${environment} that is over.`, {
    hint: 'Await everything inside the function that getDbSession runs, or open another session.',
  });
}

function interrupted({ environment }: OpenSession, cause?: unknown): ManageDbError {
  return new ManageDbError('INTERRUPTED', `Interrupted; the transaction on ${environment} was rolled back.`, { cause });
}

/**
 * Ends the running statement when `signal` fires, from another connection: this one is busy. `done()` waits for that, so
 * that it cannot hit whoever has the connection next.
 */
function cancelOnAbort(session: OpenSession, signal: AbortSignal | undefined): { readonly done: () => Promise<void> } {
  if (signal === undefined) return { done: () => Promise.resolve() };
  let cancelling: Promise<void> = Promise.resolve();
  const cancel = (): void => {
    cancelling = cancelStatement(session);
  };
  signal.addEventListener('abort', cancel, { once: true });
  return {
    done: () => {
      signal.removeEventListener('abort', cancel);
      return cancelling;
    },
  };
}

async function cancelStatement(session: OpenSession): Promise<void> {
  const { processID } = session.client as unknown as { readonly processID: number | null };
  try {
    const { client } = await openConnection(session.engine.settings, SINGLE_CLIENT);
    try {
      if (session.state !== 'over') await client.query('select pg_catalog.pg_cancel_backend($1)', [processID]);
    } finally {
      await client.end();
    }
  } catch {
    // no way in: the transaction is rolled back when the statement ends or the connection does
  }
}
