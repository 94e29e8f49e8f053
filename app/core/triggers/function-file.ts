import { basename } from 'node:path';
import {
  parseSqlScript,
  readSqlFile,
  type SqlSource,
  type SqlStatement,
  sqlScriptError,
} from '../../services/sql-script.js';
import type { ManageDbError } from '../errors.js';

/** What may stand beside the function, as long as it is about it. */
const ABOUT_THE_FUNCTION = ['comment', 'alter function', 'grant', 'revoke'];

/**
 * Reads the file of a trigger function: one CREATE FUNCTION … RETURNS trigger, called like the file, and what is said
 * about that function (COMMENT, ALTER FUNCTION, GRANT, REVOKE).
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` with the place of what does not belong there, `SQL_FAILED` for what is no
 *   SQL, `UNREADABLE_FILE`
 */
export async function readFunctionFile(path: string): Promise<SqlSource> {
  const source: SqlSource = { path, sql: readSqlFile(path), firstLine: 1 };
  const name = basename(path, '.sql').normalize('NFC');
  const statements = await parseSqlScript(source);
  const [created, second] = statements.filter(({ kind }) => kind === 'create function');
  if (created === undefined) throw misplaced(source, name, 'The file creates no function', statements[0]);
  if (second !== undefined) throw misplaced(source, name, 'The file creates a second function', second);
  const stray = statements.find((statement) => statement !== created && !isAbout(statement, created));
  if (stray !== undefined) {
    throw misplaced(source, name, `${stray.kind.toUpperCase()} is not about the function of the file`, stray);
  }
  const [routine] = created.objects;
  if (routine?.type !== 'routine' || routine.name.normalize('NFC') !== name) {
    throw misplaced(
      source,
      name,
      `The function is called ${routine?.name ?? 'otherwise'}, and the file is not`,
      created,
    );
  }
  if (routine.returns !== 'trigger') {
    throw misplaced(source, name, `The function returns ${routine.returns ?? 'nothing'}, and not trigger`, created);
  }
  return source;
}

function isAbout({ kind, objects }: SqlStatement, created: SqlStatement): boolean {
  const [routine] = created.objects;
  return (
    ABOUT_THE_FUNCTION.includes(kind) &&
    objects.length > 0 &&
    objects.every(
      (object) =>
        object.type === 'routine' &&
        routine?.type === 'routine' &&
        object.schema === routine.schema &&
        object.name === routine.name,
    )
  );
}

function misplaced(
  source: SqlSource,
  name: string,
  problem: string,
  statement: SqlStatement | undefined,
): ManageDbError {
  return sqlScriptError(source, {
    code: 'INVALID_CONFIGURATION',
    message: `${problem}. Nothing was executed.`,
    hint: `Let the file hold: create or replace function ${name}() returns trigger …; and put other statements into a migration.`,
    offset: statement?.offset ?? null,
  });
}
