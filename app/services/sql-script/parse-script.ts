import type { Node, RawStmt } from 'libpg-query';
import type { ManageDbError } from '../../core/errors.js';
import { functionBody } from './function-body.js';
import { type OutsideWork, outsideWork } from './outside-work.js';
import { parseTree } from './parse-tree.js';
import { offsetOfPosition, type Place } from './place.js';
import { refusedStatement, refusedSyntax } from './refused-syntax.js';
import { sqlScriptError } from './script-error.js';
import type { SqlSource } from './source.js';
import { statementKind } from './statement-kind.js';
import { statementNodes } from './statement-nodes.js';
import { type SqlObject, statementObjects } from './statement-objects.js';
import {
  cannotRunInTransaction,
  isSessionSetting,
  type TransactionControl,
  transactionControl,
} from './transaction-rules.js';

/** One statement of an SQL file, and where it begins. */
export interface SqlStatement extends Place {
  /** From its first word to before its semicolon, with the comments between. */
  readonly text: string;
  /** Index of the text in the SQL of the source. */
  readonly offset: number;
  /** Its first words: `create function`, `alter table`, `insert`, `do`; `transaction` for BEGIN, COMMIT and the like. */
  readonly kind: string;
  /** What it creates, changes or drops. */
  readonly objects: readonly SqlObject[];
  /** What a function that it creates executes, without its quotes. */
  readonly body: string | null;
  readonly transactionControl: TransactionControl | null;
  /** PostgreSQL refuses it in a transaction: CREATE INDEX CONCURRENTLY, VACUUM, CREATE DATABASE … */
  readonly cannotRunInTransaction: boolean;
  /** What of that can be looked up afterwards; `null` for what can always run in a transaction. */
  readonly outside: OutsideWork | null;
  /** SET and RESET of the session, which is gone with it. */
  readonly isSessionSetting: boolean;
}

/** A statement with its tree, for those who look deeper than at its objects. */
export interface ParsedStatement extends SqlStatement {
  readonly node: Node;
}

export type ScriptOutcome =
  | { readonly isRead: true; readonly statements: readonly ParsedStatement[] }
  /** The parser cannot read it, because it is too large or because it takes a server of another version: `error` is what it says. */
  | { readonly isRead: false; readonly isTooMuch: boolean; readonly error: ManageDbError };

/**
 * The statements of `source`, as PostgreSQL 18's own parser reads them. Nothing is executed.
 *
 * @throws ManageDbError `SQL_FAILED` with file, line, column, the line and a caret below the place: for what is no SQL of
 *   PostgreSQL 18, for commands and variables of psql, and for COPY … FROM STDIN; also for more than 2 MB
 * @example
 * const [statement] = await parseSqlScript({ path, sql: readSqlFile(path), firstLine: 1 });
 * statement?.objects // [{ type: 'routine', kind: 'function', schema: null, name: 'touch', argumentTypes: [], returns: 'trigger' }]
 */
export async function parseSqlScript(source: SqlSource): Promise<readonly SqlStatement[]> {
  return (await parseStatementTrees(source)).map(({ node: _node, ...statement }) => statement);
}

/**
 * {@link parseSqlScript} with the trees.
 *
 * @throws as {@link parseSqlScript}
 */
export async function parseStatementTrees(source: SqlSource): Promise<readonly ParsedStatement[]> {
  const outcome = await readScript(source);
  if (outcome.isRead) return outcome.statements;
  throw outcome.error;
}

/**
 * {@link parseSqlScript} for one that can ask the server too: throws only what every server would refuse.
 *
 * @throws ManageDbError `SQL_FAILED` for psql's commands and variables, COPY … FROM STDIN and zero bytes
 */
export async function readScript(source: SqlSource): Promise<ScriptOutcome> {
  const { sql } = source;
  const zero = sql.indexOf('\0');
  // to the parser, and to the server, the text would end there
  if (zero !== -1)
    throw sqlScriptError(source, {
      message: 'A zero byte cannot be in SQL. Nothing of the file was executed.',
      offset: zero,
    });
  const outcome = await parseTree(sql);
  if (outcome.kind === 'too much') {
    const message = `The file cannot be taken apart: ${outcome.reason}. Nothing of it was executed.`;
    return {
      isRead: false,
      isTooMuch: true,
      error: sqlScriptError(source, { message, offset: null, hint: 'Make several files of it.' }),
    };
  }
  if (outcome.kind === 'syntax error') {
    const offset = offsetOfPosition(sql, outcome.position);
    const refused = await refusedSyntax(sql, offset);
    if (refused !== null) throw sqlScriptError(source, { ...refused, sqlState: SYNTAX_ERROR });
    return {
      isRead: false,
      isTooMuch: false,
      error: sqlScriptError(source, { message: outcome.message, offset, sqlState: SYNTAX_ERROR }),
    };
  }
  const refused = refusedStatement(sql, outcome.statements);
  if (refused !== null) throw sqlScriptError(source, refused);
  return { isRead: true, statements: describe(source, outcome.statements) };
}

const SYNTAX_ERROR = '42601';

function describe(source: SqlSource, statements: readonly RawStmt[]): ParsedStatement[] {
  return statementNodes(source, statements).map(({ node, byte: _byte, ...place }) => ({
    ...place,
    node,
    kind: statementKind(node),
    objects: statementObjects(node),
    body: functionBody(node),
    transactionControl: transactionControl(node),
    cannotRunInTransaction: cannotRunInTransaction(node),
    outside: outsideWork(node),
    isSessionSetting: isSessionSetting(node),
  }));
}
