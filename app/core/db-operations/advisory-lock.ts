import { setTimeout as sleep } from 'node:timers/promises';
import { ADVISORY_LOCKS } from '../../database/advisory-locks.js';
import type { Queryable } from '../../database/queryable.js';
import { ManageDbError } from '../errors.js';
import { stopIfAborted } from '../progress.js';

export interface LockWait {
  /** Milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes a lock until the open transaction of `db` ends, see {@link polled}.
 *
 * @throws ManageDbError `LOCK_TIMEOUT`, `INTERRUPTED`
 */
export async function takeAdvisoryLock(
  db: Queryable,
  name: keyof typeof ADVISORY_LOCKS,
  wait: LockWait,
): Promise<void> {
  const sql = `select pg_catalog.pg_try_advisory_xact_lock(${ADVISORY_LOCKS[name]}) as locked`;
  const attempt = async () => (await tryLock(db, sql)) || null;
  const gaveUp = () =>
    new ManageDbError(
      'LOCK_TIMEOUT',
      `Another manage_db has been applying ${name} here for ${wait.timeoutMs} ms. Nothing was changed.`,
      { hint: 'Run it again when the other one is done.' },
    );
  await polled(attempt, { ...wait, gaveUp });
}

export interface Polling extends LockWait {
  readonly onWait?: () => void;
  /** The error when the time is over. */
  readonly gaveUp: () => ManageDbError;
}

/**
 * Attempts something until it gives more than `null`. Locks are asked for like this, again and again, instead of waiting in
 * the server: a waiting session keeps a snapshot, and CREATE INDEX CONCURRENTLY of the one who holds the lock would wait for
 * that in turn.
 *
 * @throws ManageDbError what `gaveUp` makes, `INTERRUPTED`
 */
export async function polled<T>(
  attempt: () => Promise<T | null>,
  { timeoutMs, signal, onWait, gaveUp }: Polling,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (let isFirst = true; ; isFirst = false) {
    stopIfAborted(signal);
    const result = await attempt();
    if (result !== null) return result;
    if (Date.now() > deadline) throw gaveUp();
    if (isFirst) onWait?.();
    await sleep(20 + Math.random() * 80);
  }
}

/** @param sql selects `locked`; without parameters: what is bound keeps its snapshot until the next statement */
export async function tryLock(db: Queryable, sql: string): Promise<boolean> {
  const { rows } = await db.query<{ locked: boolean }>(sql);
  return rows[0]?.locked === true;
}
