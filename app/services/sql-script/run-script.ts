import pg from 'pg';
import type { Queryable } from '../../database/queryable.js';
import { isServerError } from '../database-errors.js';
import { countedQuery, StatementFailed, type StatementResult } from './counted-query.js';
import { readScript, type SqlStatement } from './parse-script.js';
import { offsetOfPosition } from './place.js';
import { executeUnread } from './run-unread.js';
import { sqlScriptError } from './script-error.js';
import { serverRefusal } from './server-refusal.js';
import type { SqlSource } from './source.js';
import { leavesTransaction } from './transaction-rules.js';

/**
 * Executes all statements of `source` in the open transaction of `db`, in one round trip, and returns the number of rows
 * they inserted.
 *
 * The whole is read by PostgreSQL 18's parser before anything of it is executed. What that cannot read is given to the
 * server, see {@link executeUnread}: an older one knows words that have become reserved since.
 *
 * @throws ManageDbError `SQL_FAILED` with file, line, column, the line and a caret below the place; `LOCK_TIMEOUT`,
 *   `PERMISSION_DENIED`, `DATABASE_IN_USE` likewise. Before anything is executed: when the file begins or ends the
 *   transaction itself, holds what cannot run in one, or is no SQL
 * @example await runSqlFile(session, { path, sql: readSqlFile(path), firstLine: 1 });
 */
export async function runSqlFile(db: Queryable, source: SqlSource): Promise<number> {
  const statements = await checkSqlFile(source);
  // a server may be set to read backslashes in strings otherwise than the parser did
  await db.query(`select pg_catalog.set_config('standard_conforming_strings', 'on', true)`);
  if (statements === null) return executeUnread(db, source);
  return statements.length === 0 ? 0 : execute(db, source, statements);
}

/**
 * Refuses a file that {@link runSqlFile} would not even begin with, and gives its statements; `null` for one that only a
 * server can judge.
 *
 * @throws ManageDbError `SQL_FAILED` with the place
 */
export async function checkSqlFile(source: SqlSource): Promise<readonly SqlStatement[] | null> {
  const outcome = await readScript(source);
  if (!outcome.isRead) return null;
  for (const statement of outcome.statements) refuseOutside(source, statement);
  return outcome.statements;
}

/** Single statements of ours around those of a file. */
export interface Enclosure {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** A statement of ours has failed, not one of the file. */
export class EnclosureFailed extends Error {
  constructor(
    override readonly cause: unknown,
    /** Index into `before` or `after`. */
    readonly index: number,
    readonly where: keyof Enclosure,
  ) {
    super('A statement around the file failed.');
  }
}

/**
 * Executes the statements of a file, which {@link checkSqlFile} has read, and ours around them, all in one round trip: for
 * very many small files, what is between them is what takes time. Strings must be read as the parser has read them
 * (standard_conforming_strings).
 *
 * @returns what each statement has ended with
 * @throws ManageDbError as {@link runSqlFile} for the statements of the file; EnclosureFailed for ours
 */
export async function runEnclosed(
  client: pg.Client,
  source: SqlSource,
  statements: readonly SqlStatement[],
  { before, after }: Enclosure,
): Promise<readonly StatementResult[]> {
  const prefix = `${before.join(';\n')};\n`;
  try {
    // the file may end in a comment
    return await countedQuery(client, `${prefix}${source.sql}\n;\n${after.join(';\n')}`);
  } catch (thrown) {
    if (!(thrown instanceof StatementFailed)) throw thrown;
    // a connection that is lost is no statement's fault
    if (!isServerError(thrown.cause)) throw thrown.cause;
    const { cause: error, completed } = thrown;
    const done = completed - before.length;
    if (done < 0) throw new EnclosureFailed(error, completed, 'before');
    if (done >= statements.length) throw new EnclosureFailed(error, done - statements.length, 'after');
    const position =
      error.position === undefined ? null : offsetOfPosition(`${prefix}${source.sql}`, Number(error.position));
    const failed = statements[done];
    const offset = position === null ? (failed?.offset ?? null) : position - prefix.length;
    throw serverRefusal(error, source, { offset, statement: failed?.text });
  }
}

/**
 * Executes one statement that {@link parseSqlScript} has found in `source`.
 *
 * @throws ManageDbError as {@link runSqlFile}, with the place in the file
 */
export async function runStatement(db: Queryable, source: SqlSource, statement: SqlStatement): Promise<void> {
  await withPlace(source, statement, () => db.query(statement.text));
}

/**
 * Runs `query`, which executes a statement of `source`.
 *
 * @throws ManageDbError as {@link runSqlFile}, with the place in the file
 */
export async function withPlace<T>(
  source: SqlSource,
  { text, offset }: Pick<SqlStatement, 'text' | 'offset'>,
  query: () => Promise<T>,
): Promise<T> {
  try {
    return await query();
  } catch (error) {
    if (!isServerError(error)) throw error;
    const within = error.position === undefined ? 0 : offsetOfPosition(text, Number(error.position));
    throw serverRefusal(error, source, { offset: offset + within, statement: text });
  }
}

function refuseOutside(
  source: SqlSource,
  { kind, transactionControl, cannotRunInTransaction, offset, text }: SqlStatement,
): void {
  if (transactionControl !== null && leavesTransaction(transactionControl)) {
    throw sqlScriptError(source, {
      message: `The file begins or ends the transaction itself (${transactionControl.toUpperCase()}). Nothing of it was executed.`,
      hint: 'Take BEGIN, COMMIT and ROLLBACK out of the file: it runs in one transaction, all of it or nothing.',
      offset,
      statement: text,
    });
  }
  if (cannotRunInTransaction) {
    throw sqlScriptError(source, {
      message: `${kind.toUpperCase()} as it is here cannot run in a transaction, and the file runs in one. Nothing of it was executed.`,
      hint: 'In a migration: write transaction:false behind its marker. Elsewhere: leave CONCURRENTLY out where that is what forbids it.',
      offset,
      statement: text,
    });
  }
}

async function execute(db: Queryable, source: SqlSource, statements: readonly SqlStatement[]): Promise<number> {
  try {
    const results = db instanceof pg.Client ? await countedQuery(db, source.sql) : [await db.query(source.sql)].flat();
    return results.reduce((rows, { command, rowCount }) => rows + (command === 'INSERT' ? (rowCount ?? 0) : 0), 0);
  } catch (thrown) {
    const error = thrown instanceof StatementFailed ? thrown.cause : thrown;
    if (!isServerError(error)) throw error;
    const completed = thrown instanceof StatementFailed ? thrown.completed : null;
    const offset = error.position === undefined ? null : offsetOfPosition(source.sql, Number(error.position));
    const failed =
      offset === null ? failedStatement(statements, completed) : statements.findLast((each) => each.offset <= offset);
    throw serverRefusal(error, source, { offset: offset ?? failed?.offset ?? null, statement: failed?.text });
  }
}

function failedStatement(statements: readonly SqlStatement[], completed: number | null): SqlStatement | undefined {
  return statements.length === 1 ? statements[0] : statements[completed ?? statements.length];
}
