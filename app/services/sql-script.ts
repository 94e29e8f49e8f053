/**
 * SQL files: read, understood by PostgreSQL's own parser, executed in one round trip. Whatever goes wrong in one is
 * shown in one form: file, line, column, the line and a caret.
 */
export { parseSqlScript, type SqlStatement } from './sql-script/parse-script.js';
export { runSqlFile } from './sql-script/run-script.js';
export { sqlScriptError } from './sql-script/script-error.js';
export { readSqlFile, type SqlSource } from './sql-script/source.js';
