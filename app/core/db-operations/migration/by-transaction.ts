import { basename } from 'node:path';
import { performance } from 'node:perf_hooks';
import { errorCodeOf, isServerError } from '../../../services/database-errors.js';
import { EnclosureFailed, runEnclosed, runSqlFile } from '../../../services/sql-script.js';
import { liftTimeouts } from '../../../services/with-connection.js';
import { errorWith, ManageDbError, messageOf } from '../../errors.js';
import { stopIfAborted } from '../../progress.js';
import type { CheckedStep } from './check-steps.js';
import { EndedTransaction } from './explain-run.js';
import { retryForLocks } from './lock-retry.js';
import type { Migration } from './migration-files.js';
import { type OpenTransaction, openTransaction, resultsOf } from './open-transaction.js';
import {
  asOurselves,
  COMMIT_AHEAD,
  expectRecorded,
  expectSql,
  isNotRecorded,
  LEAVE_FILE,
  LOOK_AT_STATE,
  MARK,
  measuredRecord,
  openingStatements,
  recordStatements,
  stateAfter,
} from './records.js';
import { runFunction } from './run-function.js';
import { lockTimeoutOf, type RanMigration, type RunContext } from './step.js';

type TransactionStep = Extract<CheckedStep, { how: 'transaction' }>;
type UnitStep = Extract<CheckedStep, { how: 'units' }>;

/** What the run knows of the records. */
export interface KnownRecords {
  /** What they are known by. */
  readonly state: string;
  /** Whether the step is done, by what was found under the lock. @throws ManageDbError to refuse */
  readonly isDone: (found: OpenTransaction) => Promise<boolean>;
  /** Told by what they are known after the step was recorded. */
  readonly onCommitted: (state: string) => void;
}

/**
 * Executes a step and its record in one transaction, of which all or nothing is committed.
 *
 * @param isLast whether nothing of the run comes after it: its commit is waited for until it is on the disk
 * @returns `null` when it was done already
 */
export async function runInTransaction(
  context: RunContext,
  step: TransactionStep,
  records: KnownRecords,
  isLast: boolean,
): Promise<RanMigration | null> {
  const { migration, direction } = step;
  return retryForLocks(context, step, async (attempts) => {
    const quick = attempts === 1 ? await runInOneRoundTrip(context, step, { records, isLast }) : null;
    if (quick !== null)
      return { version: migration.version, name: migration.name, direction, durationMs: quick, attempts };
    try {
      const found = await openUndone(context, step, records);
      if (found === null) return null;
      refuseEdited(step, found);
      const { durationMs, state } = await execute(context, step, found.mark);
      context.isAhead = false;
      records.onCommitted(state);
      return { version: migration.version, name: migration.name, direction, durationMs, attempts };
    } catch (error) {
      await leave(context);
      throw error;
    }
  });
}

/**
 * The transaction of a step that is to be done, with the lock; `null`: it is done. What was done for somebody without the lock may
 * have been taken back by the time that the records are read: then it is looked at again.
 */
async function openUndone(
  context: RunContext,
  step: TransactionStep,
  records: KnownRecords,
): Promise<OpenTransaction | null> {
  for (;;) {
    stopIfAborted(context.options.signal);
    const found = await openTransaction(
      context,
      step,
      ({ checksum }) => (step.direction === 'up') === (checksum !== null),
    );
    const isDone = await records.isDone(found);
    if (found.hasLock && !isDone) return found;
    if (found.hasLock) await context.client.query('rollback');
    if (isDone) return null;
  }
}

/** A connection that is lost has rolled back by itself; what a file has prepared outlives its transaction. */
async function leave({ client }: RunContext): Promise<void> {
  await client.query('rollback').catch(() => undefined);
  await client
    .query('discard all')
    .then(() => liftTimeouts(client, 'session'))
    .catch(() => undefined);
}

/**
 * The usual case, for a file that the parser has read: nobody else is at it, and the records are as they were when they
 * were read last. That is asked in the same round trip, before anything is executed.
 *
 * @returns the milliseconds it took; `null`: it is not the usual case, and nothing was executed
 */
async function runInOneRoundTrip(
  context: RunContext,
  step: TransactionStep,
  { records, isLast }: { readonly records: KnownRecords; readonly isLast: boolean },
): Promise<number | null> {
  const { client, options } = context;
  const { migration, direction, part, statements } = step;
  const isUsual = context.isQuick && direction === 'up' && part.kind === 'sql' && options.beforeRecord === undefined;
  if (!isUsual || statements === null) return null;
  stopIfAborted(options.signal);
  const lockTimeoutMs = lockTimeoutOf(step, options);
  const statementTimeoutMs = migration.options.statementTimeoutMs ?? 0;
  const expected = expectSql(records.state);
  const before = [...openingStatements(context, { mark: '', lockTimeoutMs, statementTimeoutMs }), ...expected];
  const after = [
    ...LEAVE_FILE,
    ...asOurselves(context, lockTimeoutMs),
    ...(isLast ? [] : [COMMIT_AHEAD]),
    measuredRecord(migration),
    expectRecorded(migration.version, direction),
    'commit',
  ];
  const start = performance.now();
  try {
    const results = await runEnclosed(client, part.source, statements, { before, after });
    if (results.at(-1)?.command !== 'COMMIT') throw rolledBack();
    const [recorded] = results.at(-3)?.rows ?? [];
    context.isAhead = !isLast;
    records.onCommitted(stateAfter(records.state, (recorded as { epoch?: string } | undefined)?.epoch ?? ''));
    return Math.round(performance.now() - start);
  } catch (error) {
    await leave(context);
    if (!(error instanceof EnclosureFailed)) throw error;
    if (error.where === 'after') throw notCompleted(step, error.cause);
    if (error.index < before.length - expected.length) throw error.cause;
    // from now on it is asked first: each refusal is an error in the log of the server
    context.isQuick = false;
    return null;
  }
}

async function execute(
  context: RunContext,
  step: TransactionStep,
  mark: string,
): Promise<{ readonly durationMs: number; readonly state: string }> {
  const { client, options } = context;
  const start = performance.now();
  if (step.part.kind === 'sql') await runSqlFile(client, step.part.source);
  else {
    await runFunction(client, step.part, options.signal);
    await refuseEnded(context, step, mark);
  }
  const durationMs = Math.round(performance.now() - start);
  await options.beforeRecord?.(client, step);
  stopIfAborted(options.signal);
  return { durationMs, state: await record(context, step, durationMs) };
}

/** A function may have found a way to end the transaction that no parser sees. */
async function refuseEnded({ client }: RunContext, { migration }: TransactionStep, mark: string): Promise<void> {
  const { rows } = await client.query<{ mark: string | null }>('select pg_catalog.current_setting($1, true) as mark', [
    MARK,
  ]);
  if (rows[0]?.mark === mark) return;
  throw new EndedTransaction(
    'SQL_FAILED',
    `${basename(migration.path)} has ended its transaction itself. What it did before is committed, and it is not recorded.`,
    { hint: 'Take COMMIT and ROLLBACK out of it, or say: export const transaction = false;' },
  );
}

async function record(context: RunContext, step: TransactionStep, durationMs: number): Promise<string> {
  const { migration, direction } = step;
  const sql = [
    ...LEAVE_FILE,
    ...asOurselves(context, lockTimeoutOf(step, context.options)),
    ...recordStatements(migration, direction, durationMs),
    expectRecorded(migration.version, direction),
    LOOK_AT_STATE,
    'commit',
  ].join(';\n');
  let results: unknown;
  try {
    results = await context.client.query(sql);
  } catch (error) {
    throw notCompleted(step, error);
  }
  // PostgreSQL answers COMMIT of a transaction that cannot be committed with ROLLBACK, and without an error
  const all = resultsOf(results);
  if (all.at(-1)?.command !== 'COMMIT') throw rolledBack();
  return String((all.at(-2)?.rows[0] as { state?: string } | undefined)?.state);
}

/** What is taken back must be what the file says: another runner may have applied it from another file. */
export function refuseEdited(
  { migration, direction }: TransactionStep | UnitStep,
  { checksum }: OpenTransaction,
): void {
  if (direction === 'up' || checksum === null || checksum === migration.checksum) return;
  throw new ManageDbError(
    'MIGRATION_EDITED',
    `${basename(migration.path)} is not what was applied: its way down may be that of something else.`,
    { hint: 'Get the file as it was applied (git log -- migrations).', details: { version: migration.version } },
  );
}

function notCompleted({ migration }: TransactionStep, error: unknown): unknown {
  if (!isServerError(error)) return error;
  const { detail, hint, code } = error;
  if (isNotRecorded(error)) return notRecorded(migration);
  return errorWith(
    errorCodeOf(code),
    `${basename(migration.path)} was executed, but could not be completed: ${messageOf(error)}.${detail === undefined ? '' : ` ${detail}`} (SQLSTATE ${code})`,
    {
      hint: hint ?? 'A deferred constraint may have failed, or the file may have made its transaction read only.',
      details: { file: migration.path, sqlState: code },
      cause: error,
    },
  );
}

/** Something hangs on the table of the records. */
export function notRecorded({ path }: Migration): ManageDbError {
  return new ManageDbError(
    'SQL_FAILED',
    `${basename(path)} was executed, but the table of the records did not take that: a trigger or a rule on manage_db.migrations has prevented it.`,
    { hint: 'Look at it, and remove what is not of manage_db: \\d manage_db.migrations', details: { file: path } },
  );
}

function rolledBack(): ManageDbError {
  return new ManageDbError('SQL_FAILED', 'The server rolled the transaction back instead of committing it.', {
    hint: 'Look into the log of the server.',
  });
}
