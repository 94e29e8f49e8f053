import type { Client } from 'pg';
import { redact } from '../../../../config/redaction.js';
import { PIN_TRANSACTION } from '../../../../services/catalog-path.js';
import { errorCodeOf, isServerError, type ServerError } from '../../../../services/database-errors.js';
import { offsetOfPosition, pictureOf } from '../../../../services/sql-script.js';
import { errorWith, type ManageDbError } from '../../../errors.js';
import { type ProgressEvent, stopIfAborted } from '../../../progress.js';

/** The server has refused one of the statements. */
export class StatementRefused extends Error {
  constructor(
    readonly sql: string,
    readonly index: number,
    readonly total: number,
    override readonly cause: ServerError,
  ) {
    super(cause.message, { cause });
  }
}

export interface Executing {
  readonly actions: readonly { readonly sql: string }[];
  readonly settings: readonly { readonly name: string; readonly value: string }[];
  /** What functions that are called by the way rely on; `null`: as the settings say. */
  readonly searchPath: string | null;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((event: ProgressEvent) => void) | undefined;
}

/**
 * Executes the statements in the open transaction, under the settings that they are meant for, which end here.
 *
 * @throws StatementRefused; ManageDbError `INTERRUPTED`
 */
export async function executeStatements(client: Client, executing: Executing): Promise<void> {
  const { actions, settings, searchPath, signal, onProgress } = executing;
  const local = settings.map(({ name, value }) => `set local ${name} = ${value}`);
  if (local.length > 0) await client.query(local.join('; '));
  // in an empty one pg_temp comes first
  await client.query(`select pg_catalog.set_config('search_path', $1, true)`, [searchPath ?? 'pg_catalog, pg_temp']);
  for (const [index, { sql }] of actions.entries()) {
    stopIfAborted(signal);
    onProgress?.({ step: 'updating the schema', done: index, total: actions.length, isDetail: true });
    try {
      await client.query(sql);
    } catch (error) {
      if (!isServerError(error)) throw error;
      throw new StatementRefused(sql, index, actions.length, error);
    }
  }
  await client.query(`${PIN_TRANSACTION}; set local check_function_bodies to default`);
}

/** Which statement it was, in the server's words, with a caret at the place. */
export function refusalInWords({ sql, index, total, cause }: StatementRefused): ManageDbError {
  const { code, message, detail, hint, position, where } = cause;
  const picture =
    position === undefined
      ? [firstLine(sql)]
      : pictureOf({ path: '', sql, firstLine: 1 }, offsetOfPosition(sql, Number(position)));
  const lines = [
    `Statement ${index + 1} of ${total} failed: ${message} (SQLSTATE ${code})`,
    ...picture,
    ...[detail ?? '', where?.split('\n', 1)[0] ?? ''].filter((line) => line !== ''),
  ];
  return errorWith(errorCodeOf(code), redact(lines.join('\n')), {
    hint: redact(hint ?? 'Mend the rows or definitions that it is about, on either side, and run it again.'),
    details: { sqlState: code, statement: redact(sql).slice(0, 2000), schema: cause.schema, table: cause.table },
    cause,
  });
}

/** Of the statement itself: pg_restore writes settings and comments before it. */
function firstLine(sql: string): string {
  const lines = sql.split('\n').filter((line) => line.trim() !== '');
  return lines.find((line) => !/^(--|SET )/.test(line)) ?? lines[0] ?? '';
}
