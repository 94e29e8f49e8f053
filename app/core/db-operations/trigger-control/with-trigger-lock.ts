import { type LockHolder, readLockHolders } from '../../../database/catalog/lock-holders.js';
import type { Queryable } from '../../../database/queryable.js';
import { isServerError } from '../../../services/database-errors.js';
import { type DbSession, getOperationSession } from '../../../services/database-service.js';
import type { Target } from '../../safety/gate.js';
import { explainLockError, readTriggerLockHolders, TriggerLockError } from '../../triggers/locks.js';
import { explained } from '../failure.js';

/** Longer than deadlock_timeout (1 s), or an autovacuum in the way would never be told to yield. */
const LOCK_TIMEOUT_MS = 5000;

export interface TriggerWork {
  readonly target: Target;
  readonly signal: AbortSignal | undefined;
  /** What the work locks: against writing (`share row exclusive`), or altogether. */
  readonly lock: 'writing' | 'everything';
}

/** Runs `work` in a transaction in which no lock is waited for longer than 5 s; says whose session was in the way. */
export async function withTriggerLock<T>(
  { target, signal, lock }: TriggerWork,
  work: (db: DbSession) => Promise<T>,
): Promise<T> {
  const session = { env: target.environment, ...(signal === undefined ? {} : { signal }) };
  try {
    return await getOperationSession(async (db) => {
      await db.query(`select pg_catalog.set_config('lock_timeout', $1, true)`, [`${LOCK_TIMEOUT_MS}ms`]);
      return work(db);
    }, session);
  } catch (error) {
    if (error instanceof TriggerLockError) {
      const read = lock === 'writing' ? readTriggerLockHolders : readAllHolders;
      const holders = getOperationSession((db) => read(db, error), { ...session, readOnly: true }).catch(() => []);
      throw explainLockError(error, await holders, LOCK_TIMEOUT_MS);
    }
    throw isServerError(error) ? explained(error, `No trigger of ${target.database} was changed.`) : error;
  }
}

function readAllHolders(db: Queryable, { tables }: TriggerLockError): Promise<readonly LockHolder[]> {
  return readLockHolders(db, { oids: tables.map(({ oid }) => oid) });
}
