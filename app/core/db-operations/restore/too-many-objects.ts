import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { countLargeObjects } from '../../../database/catalog/database-objects.js';
import { readLockCapacity } from '../../../database/catalog/lock-capacity.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';

/** Settings below this are worth changing for it. */
const STEP = 64;

/**
 * The error for a database with more tables, large objects and the like than one transaction can lock: PostgreSQL takes a lock
 * for each of them that is dropped and made, and keeps it until the end. Says which setting would be enough.
 */
export async function tooManyObjects(settings: ConnectionSettings, cause: unknown): Promise<ManageDbError> {
  const { database } = settings;
  const { locks, needed, perTransaction } = await withConnection(settings, {}, async (db) => {
    const capacity = await readLockCapacity(db);
    const large = await countLargeObjects(db);
    const perTransaction = capacity.maxLocksPerTransaction;
    // what is dropped, and about as much that is made
    return { locks: capacity.locks, needed: 2 * (capacity.needed + large), perTransaction };
  });
  const sufficient = Math.ceil((1.2 * Math.max(needed, 2 * locks)) / (locks / perTransaction) / STEP) * STEP;
  return new ManageDbError(
    'SQL_FAILED',
    `Replacing everything in ${database} in one transaction takes about ${needed} locks; the server has room for about ${locks}.`,
    {
      hint: `Restore by --method swap, which takes them one by one. Or as superuser: alter system set max_locks_per_transaction = ${sufficient}; (now ${perTransaction}) and restart the server.`,
      details: { locks, needed, maxLocksPerTransaction: perTransaction, sufficientSetting: sufficient },
      cause,
    },
  );
}
