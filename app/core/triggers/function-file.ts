import { createHash } from 'node:crypto';
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

/** The file of a trigger function, and which function that is. */
export interface FunctionFile {
  readonly source: SqlSource;
  readonly schema: string;
  readonly name: string;
  /** SHA-256 in hexadecimal. */
  readonly checksum: string;
  /** It was written for a table as it is now, and no person has a file of it. */
  readonly isGenerated: boolean;
  /** What it executes; `null` where that is not one text. */
  readonly body: string | null;
}

/** One text for one function. */
export function functionKey({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return JSON.stringify([schema, name]);
}

/**
 * Reads the file of a trigger function: one CREATE FUNCTION … RETURNS trigger, called like the file, and what is said
 * about that function (COMMENT, ALTER FUNCTION, GRANT, REVOKE).
 *
 * @param functionSchema where it is created unless the file says otherwise
 * @throws ManageDbError `INVALID_CONFIGURATION` with the place of what does not belong there, `SQL_FAILED` for what is no
 *   SQL, `UNREADABLE_FILE`
 */
export async function readFunctionFile(path: string, functionSchema: string): Promise<FunctionFile> {
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
  const checksum = createHash('sha256').update(source.sql).digest('hex');
  return {
    source,
    schema: routine.schema ?? functionSchema,
    name: routine.name,
    checksum,
    isGenerated: false,
    body: created.body,
  };
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
