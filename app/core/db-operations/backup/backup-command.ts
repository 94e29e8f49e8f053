import { shellQuote } from '../../shell-quote.js';

/** Where a backup is, as flags say it. */
export interface BackupPlace {
  readonly environment: string;
  /** As `--storage` was given; `null`: in the workspace. */
  readonly storage?: string | null | undefined;
}

/**
 * A command for somebody to type next, with everything that leads to the same place.
 *
 * @example backupCommand('verify-backup latest --deep', { environment: 'staging' }) // 'manage_db verify-backup latest --deep --env staging'
 */
export function backupCommand(command: string, { environment, storage }: BackupPlace): string {
  const place = storage === undefined || storage === null ? '' : ` --storage ${shellQuote(storage)}`;
  return `manage_db ${command} --env ${environment}${place}`;
}
