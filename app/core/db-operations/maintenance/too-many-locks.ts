import { readLockCapacity } from '../../../database/catalog/lock-capacity.js';
import { getOperationSession } from '../../../services/database-service.js';
import { ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';

/** The error for a database with more objects than one transaction can lock; says which setting would be enough. */
export async function tooManyLocks(target: Target, cause: unknown): Promise<ManageDbError> {
  const { locks, needed, maxLocksPerTransaction, sufficientSetting } = await getOperationSession(readLockCapacity, {
    env: target.environment,
    readOnly: true,
  });
  return new ManageDbError(
    'SQL_FAILED',
    `Dropping everything in ${target.database} at once takes about ${needed} locks; the server has room for about ${locks}. Nothing was dropped.`,
    {
      hint: `As superuser: alter system set max_locks_per_transaction = ${sufficientSetting}; (now ${maxLocksPerTransaction}) and restart the server.`,
      details: { locks, needed, maxLocksPerTransaction, sufficientSetting },
      cause,
    },
  );
}
