import { ADVISORY_LOCKS } from '../../../database/advisory-locks.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { polled, tryLock } from '../advisory-lock.js';
import { runnerPolling } from './open-transaction.js';
import { limits, TRY_LOCK } from './records.js';
import type { RunContext } from './step.js';

/** The lock of the migrations, held by a session that does nothing else. */
export interface RunnerLock {
  /** @throws ManageDbError `CONNECTION_LOST` when it is held no longer */
  readonly check: () => Promise<void>;
}

/**
 * Runs `work` while a second session holds the lock of the migrations, in a transaction that has no snapshot: an index can
 * be built concurrently beside it, and when this program dies, it is free at once.
 *
 * @throws ManageDbError `LOCK_TIMEOUT`
 */
export async function withRunnerLock<T>(context: RunContext, work: (lock: RunnerLock) => Promise<T>): Promise<T> {
  const { settings, options } = context;
  const { database, signal } = options;
  return withConnection(settings, { ...(database === undefined ? {} : { database }), signal }, async (db) => {
    const attempt = async () => {
      await db.query(['begin isolation level read committed', ...limits(context, 0, 0)].join('; '));
      if (await tryLock(db, TRY_LOCK)) return true;
      await db.query('rollback');
      return null;
    };
    await polled(attempt, runnerPolling(context));
    const check = async () => {
      try {
        await db.query('select');
      } catch (error) {
        throw new ManageDbError(
          'CONNECTION_LOST',
          'The session that kept other runners out was lost. What was done until now is in the journal.',
          { hint: 'Run it again: it goes on where it has stopped.', cause: error },
        );
      }
    };
    return work({ check });
  });
}

/**
 * Marks the session of `context.client` as the one that executes statements: the backend of a runner that was killed holds
 * on to it for as long as it works on, and so long the next one waits.
 *
 * @throws ManageDbError `LOCK_TIMEOUT`
 */
export async function takeStatementLock(context: RunContext): Promise<void> {
  const sql = `select pg_catalog.pg_try_advisory_lock(${ADVISORY_LOCKS['migration statements']}) as locked`;
  await polled(async () => (await tryLock(context.client, sql)) || null, runnerPolling(context));
}
