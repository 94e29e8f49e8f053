import { codeOf, ManageDbError } from '../../errors.js';

/** `error` as `DISK_FULL` where what writes into `folder` found no room; any other one as it is. */
export function asDiskFull(error: unknown, folder: string): unknown {
  if (!isDiskFull(error)) return error;
  return new ManageDbError('DISK_FULL', `There is no room left for a backup in ${folder}.`, {
    hint: `Make room (df -h ${folder}), or name another folder (backupsDir in the configuration).`,
    details: { folder },
    cause: error,
  });
}

function isDiskFull(error: unknown): boolean {
  if (['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(error) ?? '')) return true;
  if (!(error instanceof ManageDbError) || error.details.tool !== 'pg_dump') return false;
  // a limit for the size of files (ulimit -f)
  if (error.details.signal === 'SIGXFSZ') return true;
  // what comes from the server has ERROR before it: that is its disk
  return /^pg_dump: error: (?!.*ERROR:).*(No space left on device|Disk quota exceeded|File too large)/m.test(
    error.message,
  );
}
