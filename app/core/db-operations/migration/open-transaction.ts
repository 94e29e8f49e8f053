import { randomUUID } from 'node:crypto';
import type { QueryResult } from 'pg';
import { ManageDbError } from '../../errors.js';
import { type Polling, polled } from '../advisory-lock.js';
import { lookSql, openingStatements, TRY_LOCK } from './records.js';
import { lockTimeoutOf, type MigrationStep, RUNNER_WAIT_MS, type RunContext } from './step.js';

export interface OpenTransaction {
  /** What its transaction is known by. */
  readonly mark: string;
  /** What the records are known by. */
  readonly state: string;
  /** Of the version, as it is recorded; `null`: it is not. */
  readonly checksum: string | null;
}

/**
 * Opens the transaction of a step and takes the lock of the migrations in it, asking for it again and again; what the
 * records say is read after that. Between two attempts nothing is open: whoever has the lock may be building an index
 * concurrently, which waits for every transaction that is older.
 *
 * @param isDone what another runner has done meanwhile needs no lock
 * @throws ManageDbError `LOCK_TIMEOUT`
 */
export async function openTransaction(
  context: RunContext,
  step: MigrationStep,
  isDone: (found: OpenTransaction) => boolean,
): Promise<OpenTransaction & { readonly hasLock: boolean }> {
  const { client, options } = context;
  const mark = randomUUID();
  const opening = openingStatements(context, {
    mark,
    lockTimeoutMs: lockTimeoutOf(step, options),
    statementTimeoutMs: step.migration.options.statementTimeoutMs ?? 0,
  });
  const sql = [...opening, TRY_LOCK, lookSql(step.migration.version)].join(';\n');
  const attempt = async () => {
    const [locking, records] = resultsOf(await client.query(sql)).slice(-2);
    const { locked } = (locking?.rows[0] ?? {}) as { locked?: boolean };
    const { state = '', checksum = null } = (records?.rows[0] ?? {}) as { state?: string; checksum?: string | null };
    const found = { mark, state, checksum };
    if (locked === true) return { ...found, hasLock: true };
    await client.query('rollback');
    return isDone(found) ? { ...found, hasLock: false } : null;
  };
  return polled(attempt, runnerPolling(context));
}

/** How a runner waits for another one. */
export function runnerPolling({ options }: RunContext): Polling {
  const timeoutMs = options.runnerWaitMs ?? RUNNER_WAIT_MS;
  return {
    timeoutMs,
    signal: options.signal,
    onWait: () => options.onProgress?.({ step: 'waiting for another runner', isDetail: true }),
    gaveUp: () =>
      new ManageDbError(
        'LOCK_TIMEOUT',
        `Another manage_db has been applying migrations here for ${timeoutMs / 1000} s.`,
        { hint: 'Run it again when the other one is done.' },
      ),
  };
}

/** Of several statements in one text. */
export function resultsOf(results: unknown): readonly QueryResult[] {
  return [results].flat() as readonly QueryResult[];
}
