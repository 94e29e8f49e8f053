import { redact } from '../../config/redaction.js';
import { type ErrorCode, errorWith, type ManageDbError } from '../../core/errors.js';
import { pictureOf, placeOf } from './place.js';
import { type SqlSource, shownPath } from './source.js';

export interface ScriptProblem {
  /** `SQL_FAILED` by default. */
  readonly code?: ErrorCode;
  readonly message: string;
  /** Index into the SQL of the source; `null` when nobody knows the place. */
  readonly offset: number | null;
  /** Lines below the picture. */
  readonly more?: readonly string[];
  /** By default: correct the file. */
  readonly hint?: string;
  readonly sqlState?: string;
  /** The text of the statement that failed. */
  readonly statement?: string;
  readonly cause?: unknown;
}

/** How much of a failed statement goes into the details. */
const STATEMENT_LENGTH = 2_000;

/**
 * What is wrong with an SQL file, always in this form:
 *
 *     migrations/3_visits.sql:4:8: syntax error at or near "tabel"
 *     create tabel visits (id bigint);
 *            ^
 */
export function sqlScriptError(source: SqlSource, problem: ScriptProblem): ManageDbError {
  const { code = 'SQL_FAILED', message, offset, more = [], hint, sqlState, statement, cause } = problem;
  const file = shownPath(source.path);
  const place = offset === null ? null : placeOf(source, offset);
  const at = place === null ? file : `${file}:${place.line}:${place.column}`;
  const picture = offset === null ? [] : pictureOf(source, offset);
  return errorWith(code, redact([`${at}: ${message}`, ...picture, ...more].join('\n')), {
    hint: redact(hint ?? `Correct ${file} and run the command again.`),
    details: {
      file: source.path,
      line: place?.line ?? null,
      column: place?.column ?? null,
      sqlState: sqlState ?? null,
      statement: statement === undefined ? null : redact(statement).slice(0, STATEMENT_LENGTH),
    },
    cause,
  });
}
