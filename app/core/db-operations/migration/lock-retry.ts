import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../config/migration-settings.js';
import { readBlockingSessions } from '../../../database/catalog/blocking-sessions.js';
import type { LockHolder } from '../../../database/catalog/lock-holders.js';
import { isServerError } from '../../../services/database-errors.js';
import { lockTimeoutError } from '../../../services/lock-timeout-error.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { stopIfAborted } from '../../progress.js';
import { lockTimeoutOf, type MigrationStep, type RunContext } from './step.js';

/** At most; the application must get on between two attempts. */
const LONGEST_PAUSE_MS = 5_000;

/**
 * Repeats `attempt` while it does not get its locks: each waits for a moment only, since everything that comes later waits
 * behind it, and then lets the others go first.
 *
 * @param attempt begins from nothing, and leaves nothing when it throws; told how often it was tried, this time included
 * @param mayRetry asked after an attempt that has failed
 * @throws ManageDbError `LOCK_TIMEOUT` naming the sessions in the way; whatever else `attempt` throws
 */
export async function retryForLocks<T>(
  context: RunContext,
  step: MigrationStep,
  attempt: (tries: number) => Promise<T>,
  mayRetry: () => boolean = () => true,
): Promise<T> {
  const { options } = context;
  const { signal } = options;
  const budgetMs = options.lockBudgetMs ?? DEFAULT_MIGRATION_SETTINGS.lockBudgetMs;
  let waitedMs = 0;
  for (let tries = 1; ; tries += 1) {
    const watch = new BlockerWatch(context, lockTimeoutOf(step, options));
    try {
      return await attempt(tries);
    } catch (error) {
      const failed = refusedLock(error);
      if (failed === null || !mayRetry()) throw error;
      const pause = Math.min(tries * 500, LONGEST_PAUSE_MS) * (0.5 + Math.random());
      // neither the time of statements counts, nor that of other runners
      waitedMs += lockTimeoutOf(step, options);
      const holders = await watch.end();
      if (waitedMs + pause > budgetMs) throw givenUp(step, { waitedMs, holders, failed });
      const seen = holders[0];
      const by =
        seen === undefined ? '' : `: ${seen.pid === null ? 'a prepared transaction' : `pid ${seen.pid}`} is in the way`;
      options.onProgress?.({
        step: `waiting for locks of ${step.migration.version}_${step.migration.name}, attempt ${tries}${by}`,
      });
      waitedMs += pause;
      await sleep(pause, undefined, { signal }).catch(() => undefined);
      stopIfAborted(signal);
    } finally {
      await watch.end();
    }
  }
}

/** What says that a lock was not to be had; that other runners do not end is another matter. */
function refusedLock(error: unknown): ManageDbError | null {
  return error instanceof ManageDbError && error.code === 'LOCK_TIMEOUT' && isServerError(error.cause) ? error : null;
}

function givenUp(
  { migration }: MigrationStep,
  {
    waitedMs,
    holders,
    failed,
  }: { readonly waitedMs: number; readonly holders: readonly LockHolder[]; readonly failed: ManageDbError },
): ManageDbError {
  const { details, cause } = failed;
  const place = failed.message.split('\n').slice(1, 3);
  const error = lockTimeoutError({
    wanted: `what ${migration.version}_${migration.name} needs`,
    waitedMs: Math.round(waitedMs / 100) * 100,
    holders,
    unchanged: '',
    cause,
  });
  return new ManageDbError('LOCK_TIMEOUT', [error.message.trimEnd(), ...place].join('\n'), {
    ...(error.hint === null ? {} : { hint: error.hint }),
    details: { ...details, ...error.details },
    cause: failed,
  });
}

/**
 * Sees who is in the way while an attempt waits: when it has failed, it waits no longer and nobody can say. Nothing is
 * asked of the server before a third of the lock timeout has gone by.
 */
class BlockerWatch {
  private seen: readonly LockHolder[] = [];
  private readonly ended = new AbortController();
  private watching: Promise<void> | null = null;
  private readonly timer: NodeJS.Timeout;

  constructor(context: RunContext, lockTimeoutMs: number) {
    const everyMs = Math.max(200, lockTimeoutMs / 3);
    this.timer = setTimeout(() => {
      this.watching = this.watch(context, everyMs).catch(() => undefined);
    }, everyMs);
  }

  /** The sessions that were in the way when it was looked last. */
  async end(): Promise<readonly LockHolder[]> {
    clearTimeout(this.timer);
    if (this.watching !== null) this.ended.abort();
    await this.watching;
    return this.seen;
  }

  private async watch({ settings, backend, options }: RunContext, everyMs: number): Promise<void> {
    const { signal } = this.ended;
    if (backend === null) return;
    await withConnection(settings, options.database === undefined ? {} : { database: options.database }, async (db) => {
      while (!signal.aborted) {
        const blocking = await readBlockingSessions(db, backend.pid);
        if (blocking.length > 0) this.seen = blocking;
        await sleep(everyMs, undefined, { signal });
      }
    });
  }
}
