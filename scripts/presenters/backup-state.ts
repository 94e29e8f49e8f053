import type { BackupSummary } from '../../app/core/db-operations/backup.js';
import type { Paint } from './paint.js';

/** `complete`, or what is wrong with it. */
export function backupState({ state, worker }: BackupSummary, paint: Paint): string {
  if (state === 'complete') return 'complete';
  if (state === 'damaged') return paint.red('damaged');
  const who = { running: 'being made now', gone: 'its process is gone', elsewhere: 'of another machine' };
  return paint.yellow(worker === null || worker === 'unknown' ? 'incomplete' : `incomplete: ${who[worker]}`);
}

/** `deep`, `files` or `no`. */
export function backupVerified({ verification }: Pick<BackupSummary, 'verification'>, paint: Paint): string {
  return verification === null ? paint.dim('no') : paint.green(verification.how);
}
