import type { Client, QueryResult, QueryResultRow } from 'pg';
import { errorCodeOf, isServerError } from '../../../services/database-errors.js';
import { checkSqlFile, offsetOfPosition, shownPath, sqlScriptError } from '../../../services/sql-script.js';
import { ManageDbError, messageOf } from '../../errors.js';
import { stopIfAborted } from '../../progress.js';
import type { FunctionPart, MigrationDb } from './module-migration.js';

/**
 * Calls one direction of a TypeScript migration. What it throws names the file, and the statement where one has failed.
 *
 * @throws ManageDbError `SQL_FAILED`, `LOCK_TIMEOUT` and others by SQLSTATE
 */
export async function runFunction(client: Client, part: FunctionPart, signal?: AbortSignal): Promise<void> {
  const db = new OpenDb(part.isTransactional ? withinTransaction(client, part) : plainly(client), part);
  try {
    await until(signal, part.run(db));
    await db.close();
  } catch (error) {
    await db.close().catch(() => undefined);
    if (error instanceof ManageDbError) throw error;
    const message = messageOf(error);
    throw sqlScriptError(
      { path: part.path, sql: '', firstLine: 1 },
      {
        code: isServerError(error) ? errorCodeOf(error.code) : 'SQL_FAILED',
        message: isServerError(error) && error.detail !== undefined ? `${message}. ${error.detail}` : message,
        offset: null,
        ...(isServerError(error) ? { sqlState: error.code } : {}),
        cause: error,
      },
    );
  }
}

/** A function that never returns must not keep a program from ending. */
async function until(signal: AbortSignal | undefined, running: Promise<unknown>): Promise<void> {
  stopIfAborted(signal);
  let stop = (): void => undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(new ManageDbError('INTERRUPTED', 'Interrupted.'));
  });
  signal?.addEventListener('abort', stop, { once: true });
  running.catch(() => undefined);
  try {
    await Promise.race([running, stopped]);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** The session of one function, and of nothing after it: a query that is not awaited would be executed in the next migration. */
class OpenDb implements MigrationDb {
  private readonly open = new Set<Promise<unknown>>();
  private isClosed = false;

  constructor(
    private readonly db: MigrationDb,
    private readonly part: FunctionPart,
  ) {}

  query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>> {
    if (this.isClosed) return Promise.reject(this.notAwaited('asked for a query after it had returned'));
    const running: Promise<QueryResult<Row>> = this.db.query<Row>(text, values === undefined ? undefined : [...values]);
    const settled = running.then(
      () => undefined,
      () => undefined,
    );
    this.open.add(settled);
    void settled.then(() => this.open.delete(settled));
    return running;
  }

  /** @throws ManageDbError `SQL_FAILED` when something was still running */
  async close(): Promise<void> {
    this.isClosed = true;
    if (this.open.size === 0) return;
    await Promise.all(this.open);
    throw this.notAwaited('has returned while a query was still running');
  }

  private notAwaited(what: string): ManageDbError {
    return new ManageDbError('SQL_FAILED', `${shownPath(this.part.path)} ${what}.`, {
      hint: 'Await every query: await db.query(…)',
      details: { file: this.part.path },
    });
  }
}

function plainly(client: Client): MigrationDb {
  return {
    query: <Row extends QueryResultRow>(text: string, values?: readonly unknown[]) =>
      client.query<Row>(text, values === undefined ? undefined : [...values]),
  };
}

/** Each statement is read first: none of them may end the transaction. */
function withinTransaction(client: Client, { path }: FunctionPart): MigrationDb {
  return {
    async query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>> {
      const source = { path, sql: text, firstLine: 1 };
      await checkSqlFile(source);
      try {
        return await client.query<Row>(text, values === undefined ? undefined : [...values]);
      } catch (error) {
        if (!isServerError(error)) throw error;
        throw sqlScriptError(source, {
          code: errorCodeOf(error.code),
          message: messageOf(error),
          // a place in the text of the statement, which is somewhere in the file
          offset: error.position === undefined ? 0 : offsetOfPosition(text, Number(error.position)),
          more: [error.detail ?? ''].filter((line) => line !== ''),
          ...(error.hint === undefined ? {} : { hint: error.hint }),
          sqlState: error.code,
          statement: text,
          cause: error,
        });
      }
    },
  };
}
