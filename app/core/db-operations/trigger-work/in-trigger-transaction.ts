import { setTimeout as sleep } from 'node:timers/promises';
import { isServerError } from '../../../services/database-errors.js';
import { type DbSession, getOperationSession } from '../../../services/database-service.js';
import { errorWith } from '../../errors.js';
import type { Target } from '../../safety/gate.js';
import { asLockError, explainLockError, readTriggerLockHolders } from '../../triggers/locks.js';
import { takeAdvisoryLock } from '../advisory-lock.js';
import { explained } from '../failure.js';

export interface LockPatience {
  /** Milliseconds that one wait for locks may last. */
  readonly lockTimeoutMs: number;
  /** Milliseconds within which it is tried again. */
  readonly lockBudgetMs: number;
}

export interface TriggerTransactions extends LockPatience {
  readonly target: Target;
  readonly signal: AbortSignal | undefined;
  /** One sentence for whoever is told of an error; that no trigger was changed, where absent. */
  readonly unchanged?: string;
  /** Whether what the server refuses is explained by what applying needs, or in the server's words alone. */
  readonly advice?: 'applying' | 'none';
}

/** Longer than deadlock_timeout (1 s), or an autovacuum in the way would never be told to yield. */
const LOCK_TIMEOUT_MS = 2500;
const TRIES_BY_DEFAULT = 4;

export function lockPatience({
  lockTimeoutMs = LOCK_TIMEOUT_MS,
  lockBudgetMs = TRIES_BY_DEFAULT * lockTimeoutMs,
}: {
  readonly lockTimeoutMs?: number | undefined;
  readonly lockBudgetMs?: number | undefined;
}): LockPatience {
  return { lockTimeoutMs, lockBudgetMs };
}

/**
 * Runs `work`, which changes triggers, in a transaction, one at a time in a database. When a table stays locked, all
 * locks are given back, so that whoever waits behind us gets on, and it is tried again a little later, until the budget is
 * used up. `work` is told how long it may wait for a lock, and lock_timeout says the same.
 *
 * @throws ManageDbError `LOCK_TIMEOUT` naming the sessions in the way; what `work` throws
 */
export async function inTriggerTransaction<T>(
  transactions: TriggerTransactions,
  work: (db: DbSession, lockTimeoutMs: number) => Promise<T>,
): Promise<T> {
  const { target, signal, lockBudgetMs } = transactions;
  const unchanged = transactions.unchanged ?? `No trigger of ${target.database} was changed.`;
  const session = { env: target.environment, ...(signal === undefined ? {} : { signal }) };
  const began = Date.now();
  let { lockTimeoutMs } = transactions;
  for (let tries = 1; ; tries += 1) {
    try {
      return await getOperationSession(async (db) => {
        await db.query(`select pg_catalog.set_config('lock_timeout', $1, true)`, [`${lockTimeoutMs}ms`]);
        await takeAdvisoryLock(db, 'triggers', { timeoutMs: 60_000, signal });
        return work(db, lockTimeoutMs);
      }, session);
    } catch (error) {
      const lock = asLockError(error);
      if (lock === null) throw explain(error, transactions, unchanged);
      // two that stand in each other's way must not come back at the same moment
      const pause = Math.min(tries * 200, 1000) * (0.5 + Math.random());
      const waitedMs = Date.now() - began;
      const left = Math.floor(lockBudgetMs - waitedMs - pause);
      if (left <= 0) {
        const asking = getOperationSession((db) => readTriggerLockHolders(db, lock), { ...session, readOnly: true });
        throw explainLockError(lock, await asking.catch(() => []), { waitedMs, unchanged });
      }
      lockTimeoutMs = Math.min(transactions.lockTimeoutMs, left);
      await sleep(pause, undefined, { signal }).catch(() => undefined);
    }
  }
}

function explain(error: unknown, { target, advice = 'applying' }: TriggerTransactions, unchanged: string): unknown {
  if (!isServerError(error)) return error;
  const known = explained(error, unchanged);
  if (advice === 'none') return known;
  const hint =
    known.code === 'PERMISSION_DENIED'
      ? `${target.user} must own the tables, or be given the right: grant trigger on all tables in schema <schema> to ${target.user};`
      : `See what would be executed: manage_db apply-db-triggers --dry-run --env ${target.environment}`;
  return errorWith(known.code, known.message, {
    hint: error.hint === undefined ? hint : (known.hint ?? hint),
    details: known.details,
    cause: error,
  });
}
