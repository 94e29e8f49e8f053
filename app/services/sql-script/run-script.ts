import pg from 'pg';
import type { Queryable } from '../../database/queryable.js';
import { isServerError } from '../database-errors.js';
import { countedQuery, StatementFailed } from './counted-query.js';
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
  const outcome = await readScript(source);
  // a server may be set to read backslashes in strings otherwise than the parser did
  await db.query(`select pg_catalog.set_config('standard_conforming_strings', 'on', true)`);
  if (!outcome.isRead) return executeUnread(db, source);
  const { statements } = outcome;
  for (const statement of statements) refuseOutside(source, statement);
  return statements.length === 0 ? 0 : execute(db, source, statements);
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
      hint: 'Leave CONCURRENTLY out where that is what forbids it, or execute the statement with psql.',
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
