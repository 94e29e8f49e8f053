import { type ManageDbError, messageOf } from '../../core/errors.js';
import { errorCodeOf, type ServerError } from '../database-errors.js';
import { sqlScriptError } from './script-error.js';
import type { SqlSource } from './source.js';

export interface RefusedPlace {
  /** Index into the SQL of the source; `null` when nobody knows the place. */
  readonly offset: number | null;
  /** The text of the statement, where it is known. */
  readonly statement?: string | undefined;
  /** It ran within EXECUTE of a block of ours, which is the last line of the context. */
  readonly isWithinBlock?: boolean;
}

/** The server's error in its own words, at its place in the file. */
export function serverRefusal(
  error: ServerError,
  source: SqlSource,
  { offset, statement, isWithinBlock = false }: RefusedPlace,
): ManageDbError {
  const { code: sqlState, detail, hint } = error;
  return sqlScriptError(source, {
    code: errorCodeOf(sqlState),
    message: messageOf(error),
    offset,
    more: [detail ?? '', isWithinBlock ? contextWithin(error, source) : firstLine(error.where)].filter(
      (line) => line !== '',
    ),
    ...(hint === undefined ? {} : { hint }),
    sqlState,
    ...(statement === undefined ? {} : { statement }),
    cause: error,
  });
}

/** Above the block there is nothing, or the function that failed, or, where no position is known, the whole file. */
function contextWithin({ where = '' }: ServerError, { sql }: SqlSource): string {
  const context = firstLine(where.split('\n').slice(0, -1).join('\n'));
  return context.includes(firstLine(sql).slice(0, 40)) ? '' : context;
}

function firstLine(text = ''): string {
  return text.split('\n', 1)[0] ?? '';
}
