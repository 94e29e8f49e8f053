import { type ManageDbError, messageOf } from '../../core/errors.js';
import { errorCodeOf, type ServerError } from '../database-errors.js';
import { sqlScriptError } from './script-error.js';
import type { SqlSource } from './source.js';

export interface RefusedPlace {
  /** Index into the SQL of the source; `null` when nobody knows the place. */
  readonly offset: number | null;
  /** The text of the statement, where it is known. */
  readonly statement?: string | undefined;
}

/** The server's error in its own words, at its place in the file. */
export function serverRefusal(
  error: ServerError,
  source: SqlSource,
  { offset, statement }: RefusedPlace,
): ManageDbError {
  const { code: sqlState, detail, hint } = error;
  return sqlScriptError(source, {
    code: errorCodeOf(sqlState),
    message: messageOf(error),
    offset,
    more: [detail ?? '', contextOf(error, source)].filter((line) => line !== ''),
    ...(hint === undefined ? {} : { hint }),
    sqlState,
    ...(statement === undefined ? {} : { statement }),
    cause: error,
  });
}

/** Where in a function it happened. Of a file that runs within EXECUTE, the context would be the file. */
function contextOf({ where = '' }: ServerError, { sql }: SqlSource): string {
  return where.startsWith(`SQL statement "${sql.slice(0, 40)}`) ? '' : (where.split('\n')[0] ?? '');
}
