import { readLockHolders } from '../../../database/catalog/lock-holders.js';
import { getOperationSession } from '../../../services/database-service.js';
import { lockTimeoutError } from '../../../services/lock-timeout-error.js';
import type { ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';

/**
 * The error for dropping that did not get its locks within `waitedMs`; names who holds them. To be made after the
 * rollback: the failed transaction can no longer ask, and its own locks are out of the picture.
 */
export async function lockTimeout(target: Target, waitedMs: number, cause: unknown): Promise<ManageDbError> {
  const session = { env: target.environment, readOnly: true };
  const holders = await getOperationSession((db) => readLockHolders(db), session).catch(() => []);
  const wanted = `the objects of ${target.database}`;
  return lockTimeoutError({ wanted, waitedMs, holders, unchanged: 'Nothing was dropped.', cause });
}
