import { setTimeout as sleep } from 'node:timers/promises';
import { ADVISORY_LOCKS } from '../../../database/advisory-locks.js';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';

export interface LockWait {
  /** Milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Takes a lock until the open transaction of `db` ends. Asks again and again instead of waiting in the server: a waiting
 * session keeps a snapshot, and CREATE INDEX CONCURRENTLY of the one who holds the lock would wait for that in turn.
 *
 * @throws ManageDbError `LOCK_TIMEOUT`
 */
export async function takeAdvisoryLock(
  db: Queryable,
  name: keyof typeof ADVISORY_LOCKS,
  wait: LockWait,
): Promise<void> {
  const deadline = Date.now() + wait.timeoutMs;
  while (!(await tryLock(db, ADVISORY_LOCKS[name]))) {
    wait.signal?.throwIfAborted();
    if (Date.now() > deadline) {
      throw new ManageDbError(
        'LOCK_TIMEOUT',
        `Another manage_db has been applying ${name} here for ${wait.timeoutMs} ms. Nothing was changed.`,
        {
          hint: 'Run it again when the other one is done.',
        },
      );
    }
    await sleep(50 + Math.random() * 100);
  }
}

async function tryLock(db: Queryable, key: string): Promise<boolean> {
  const { rows } = await db.query<{ locked: boolean }>(
    'select pg_catalog.pg_try_advisory_xact_lock($1::bigint) as locked',
    [key],
  );
  return rows[0]?.locked ?? false;
}
