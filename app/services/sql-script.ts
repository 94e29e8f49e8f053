/**
 * SQL files: read, understood by PostgreSQL's own parser, executed in one round trip. Whatever goes wrong in one is
 * shown in one form: file, line, column, the line and a caret.
 */
export { blockStatements } from './sql-script/block-statements.js';
export type { ChosenRows } from './sql-script/chosen-rows.js';
export { type CreatingStatement, type Creation, readCreations } from './sql-script/creations.js';
export { type DefiningStatement, readDefinitions, type WrittenDefinition } from './sql-script/definitions.js';
export { innerStatements } from './sql-script/inner-statements.js';
export type { OutsideWork } from './sql-script/outside-work.js';
export {
  type ParsedStatement,
  parseSqlScript,
  parseStatementTrees,
  readScript,
  type SqlStatement,
} from './sql-script/parse-script.js';
export { isOn, type NodeReaders, parseTree, readNode, walkTree } from './sql-script/parse-tree.js';
export { offsetOfPosition, pictureOf, placeOf } from './sql-script/place.js';
export { readComments, type SqlComment } from './sql-script/read-comments.js';
export {
  checkSqlFile,
  EnclosureFailed,
  runEnclosed,
  runSqlFile,
  runStatement,
  withPlace,
} from './sql-script/run-script.js';
export { type SqlLiteral, scanLiterals } from './sql-script/scan-literals.js';
export { sqlScriptError } from './sql-script/script-error.js';
export { readSqlFile, type SqlSource, shownPath } from './sql-script/source.js';
export {
  type ConvertedColumn,
  RELATION_KINDS,
  readEffects,
  type StatementEffect,
  type WrittenName,
} from './sql-script/statement-effects.js';
export { objectWords } from './sql-script/statement-kind.js';
export {
  type LockMode,
  type NamedRelation,
  rankOf,
  type StatementLock,
  statementLocks,
} from './sql-script/statement-locks.js';

export { statementObjects } from './sql-script/statement-objects.js';
