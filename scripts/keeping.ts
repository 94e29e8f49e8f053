import type { RestoreResult } from '../app/core/db-operations/restore.js';
import { shellQuote } from '../app/core/shell-quote.js';
import { durationMs } from './duration.js';

/** `--keep-previous`, `--keep-previous 7d`, or `--no-keep-previous`. */
export function keepingOf(flag: string | false | undefined): number | boolean | undefined {
  if (flag === undefined || flag === false) return flag;
  return flag === '' ? true : durationMs(flag, '--keep-previous');
}

/** What has become of the database that was replaced. */
export function keptLines(
  {
    previousDatabase,
    previousUntil,
    environment,
  }: Pick<RestoreResult, 'previousDatabase' | 'previousUntil' | 'environment'>,
  undo: 'undo-restore' | 'undo-copy' = 'undo-restore',
): string[] {
  if (previousDatabase === null) return [];
  return [
    `  The replaced database is ${previousDatabase}, kept until ${previousUntil}`,
    `  Put it back: manage_db ${undo} ${shellQuote(previousDatabase)} --env ${environment}`,
  ];
}
