import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { redact } from '../config/redaction.js';
import { errorWith, ManageDbError, messageOf } from '../core/errors.js';
import type { Queryable } from '../database/queryable.js';
import { errorCodeOf, isServerError } from './database-errors.js';

/** A part of an SQL file, or the whole of it. */
export interface SqlSource {
  /** Absolute. */
  readonly path: string;
  readonly sql: string;
  /** The line of the file on which `sql` begins, from 1. */
  readonly firstLine: number;
}

/**
 * The text of an SQL file, without byte order mark and with LF line ends.
 *
 * @throws ManageDbError `UNREADABLE_FILE`
 */
export function readSqlFile(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `${shown(path)} cannot be read: ${messageOf(error)}.`, {
      hint: 'Check the name of the file and its permissions.',
      cause: error,
    });
  }
  return bytes
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n');
}

/**
 * Executes all statements of `source` in the open transaction of `db`, and returns the number of rows they inserted.
 *
 * @throws ManageDbError `SQL_FAILED` with file, line, column, the line and a caret below the place; PostgreSQL reports a
 *   place for errors of syntax and names, not for those that data cause. `LOCK_TIMEOUT`, `PERMISSION_DENIED`,
 *   `DATABASE_IN_USE` likewise.
 * @example await runSqlFile(session, { path, sql: readSqlFile(path), firstLine: 1 });
 */
export async function runSqlFile(db: Queryable, source: SqlSource): Promise<number> {
  try {
    // `pg` gives one result for one statement and a list for several
    const results = [await db.query(source.sql)].flat();
    return results.reduce((rows, { command, rowCount }) => rows + (command === 'INSERT' ? (rowCount ?? 0) : 0), 0);
  } catch (error) {
    throw sqlFileError(error, source);
  }
}

function sqlFileError(error: unknown, source: SqlSource): unknown {
  if (!isServerError(error)) return error;
  const { code: sqlState, position, detail, hint, where } = error;
  const place = position === undefined ? null : placeOf(Number(position), source);
  const at = `${shown(source.path)}${place === null ? '' : `:${place.line}:${place.column}`}`;
  const picture = place === null ? [] : [place.text, `${' '.repeat(place.indent)}^`];
  const extra = [detail, where?.split('\n')[0]].filter((text) => text !== undefined && text !== '');
  return errorWith(errorCodeOf(sqlState), redact([`${at}: ${messageOf(error)}`, ...picture, ...extra].join('\n')), {
    hint: hint !== undefined ? redact(hint) : `Correct ${shown(source.path)} and run the command again.`,
    details: { file: source.path, line: place?.line ?? null, column: place?.column ?? null, sqlState },
    cause: error,
  });
}

/** PostgreSQL counts characters from 1, JavaScript counts UTF-16 units: an emoji before the place would move it. */
function placeOf(position: number, { sql, firstLine }: SqlSource) {
  const before = Array.from(sql).slice(0, position - 1);
  const lineStart = before.lastIndexOf('\n') + 1;
  const column = before.length - lineStart + 1;
  const lineIndex = before.filter((character) => character === '\n').length;
  const text = sql.split('\n')[lineIndex] ?? '';
  return { line: firstLine + lineIndex, column, text: text.replaceAll('\t', ' '), indent: column - 1 };
}

function shown(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : fromHere;
}
