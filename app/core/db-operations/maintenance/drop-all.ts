import { escapeIdentifier } from 'pg';
import { readExtensions } from '../../../database/catalog/extensions.js';
import { readSubscriptions } from '../../../database/catalog/subscriptions.js';
import type { Queryable } from '../../../database/queryable.js';
import { ownTables } from '../../../database/records/own-tables.js';
import { errorCodeOf, isServerError } from '../../../services/database-errors.js';
import { getOperationSession } from '../../../services/database-service.js';
import { liftTimeouts, withConnection } from '../../../services/with-connection.js';
import { codeOf, ManageDbError } from '../../errors.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { refuseIfChanged } from '../../safety/still-allowed.js';
import { takeAdvisoryLock } from '../advisory-lock.js';
import type { SafetyBackup } from '../backup/safety-backup.js';
import { CURRENT_TRANSACTION, isCommitted, UnknownOutcome } from '../commit-outcome.js';
import { changedMeanwhile, type DropPlan, type DroppedObject, isSamePlan, planDrop } from '../dropping/drop-plan.js';
import { explained } from '../failure.js';
import type { StillAlone } from '../scratch/keep-others-out.js';
import { areDefinitionsAsSeen, isAllAsSeen, type Seen, see } from './as-seen.js';
import { lockTimeout } from './lock-timeout.js';
import { tooManyLocks } from './too-many-locks.js';

export interface DropResult {
  readonly dropped: readonly DroppedObject[];
  readonly largeObjects: number;
  /** The backup that was made before; `null`: there was nothing to drop. */
  readonly safetyBackup: string | null;
  /** The command that brings everything back. */
  readonly undo: string | null;
  readonly warnings: readonly string[];
}

export interface DropOptions extends OperationControls {
  /** For whom it drops; named in messages. */
  readonly operation: 'drop-all-tables' | 'reset-database';
  readonly stillAlone: StillAlone;
}

/** Without a lockTimeoutMs setting: a DROP that waits makes every later query on the table wait behind it. */
const LOCK_TIMEOUT_MS = 10_000;
const OUT_OF_LOCKS = '53200';
/** dependent_objects_still_exist, undefined_table, invalid_schema_name: not what it was when it was looked at. */
const NOT_AS_SEEN = ['2BP01', '42P01', '3F000'];
export const UNCHANGED = 'Nothing was dropped.';

/**
 * Backs up the target, then drops every user object of it in one transaction; it is the raw work of `drop-all-tables`,
 * without the gate. From before the backup on nobody else writes, so nothing is lost in between; stamp and kill switch are
 * read again after it, and when everything is dropped. Where nothing is dropped, the backup is removed again.
 *
 * Extensions and what came with them stay, and so does the schema `public`. The schema `manage_db` stays too, but its
 * record of applied migrations is emptied, because what they made is gone.
 *
 * @throws ManageDbError `PERMISSION_DENIED`, `LOCK_TIMEOUT`, `KILL_SWITCH`, `STAMP_MISMATCH`, `CONNECTION_LOST`, `DATABASE_IN_USE` when
 *   objects were made, changed or dropped meanwhile, `SQL_FAILED`, and what making a backup throws; in each case nothing is dropped. UnknownOutcome
 */
export async function dropAllObjects(target: Target, options: DropOptions): Promise<DropResult> {
  const { signal } = options;
  // Loaded here: check-database, which is in the same module, makes no backup.
  const { SafetyBackup } = await import('../backup/safety-backup.js');
  const safety = await SafetyBackup.prepare(
    target,
    { label: `before ${options.operation}`, encryption: null },
    options,
  );
  const progress: Progress = { xid: null, plan: null, left: [] };
  try {
    await getOperationSession((session) => dropWithin(session, { target, options, safety, progress }), {
      env: target.environment,
      // what others commit has to be seen
      isolation: 'read committed',
      signal,
    });
  } catch (error) {
    if (!(await wasCommitted(target, safety, progress))) {
      throw await safety.discard(await nothingDropped(error, target, signal));
    }
  }
  const { plan, left } = progress;
  return {
    dropped: plan?.objects ?? [],
    largeObjects: plan?.largeObjects.length ?? 0,
    safetyBackup: safety.id,
    undo: safety.id === null ? null : `manage_db restore-backup ${safety.id} --env ${target.environment}`,
    warnings: [...safety.warnings, ...left],
  };
}

interface Dropping {
  readonly target: Target;
  readonly options: DropOptions;
  readonly safety: SafetyBackup;
  readonly progress: Progress;
}

/** How far it has come, also where it fails. */
interface Progress {
  /** Of the transaction, once everything in it is done. */
  xid: string | null;
  plan: DropPlan | null;
  /** What stays and will not work any more. */
  left: readonly string[];
}

async function dropWithin(db: Queryable, { target, options, safety, progress }: Dropping): Promise<void> {
  await liftTimeouts(db, 'transaction');
  await db.query(LIMITS, [String(lockTimeoutMs(target))]);
  // who applies migrations would go on in a database that has none of them any more
  await takeAdvisoryLock(db, 'migrations', { timeoutMs: lockTimeoutMs(target), signal: options.signal });
  const plan = await planDrop(db, target, UNCHANGED);
  progress.plan = plan;
  let seen: Seen | null = null;
  if (plan.statements.length > 0) {
    await keepWritersOut(db, plan);
    seen = await see(db, plan);
    await backUp(safety, options);
    await requireAllowed(db, target, options);
    await requireUnchanged(db, target, { plan, seen });
  }
  const extensions = await readExtensions(db);
  const total = plan.statements.reduce((sum, { count }) => sum + count, 0);
  let done = 0;
  for (const { kind, count, sql } of plan.statements) {
    stopIfAborted(options.signal);
    options.onProgress?.({ step: `dropping ${kind}`, done, total });
    await db.query(sql);
    done += count;
  }
  await requireExtensions(db, target, extensions);
  await forgetMigrations(db);
  if (seen !== null && !(await isAllAsSeen(target, seen, options.signal))) throw changedMeanwhile(target, UNCHANGED);
  await requireAllowed(db, target, options);
  progress.left = await readIdleSubscriptions(db);
  progress.xid = (await db.query<{ xid: string }>(CURRENT_TRANSACTION)).rows[0]?.xid ?? null;
}

function lockTimeoutMs({ settings }: Target): number {
  return settings.pool.lockTimeoutMs > 0 ? settings.pool.lockTimeoutMs : LOCK_TIMEOUT_MS;
}

/* Thousands of notices about what a CASCADE took along have no place here. */
const LIMITS = `
  select pg_catalog.set_config('lock_timeout', $1, true), pg_catalog.set_config('client_min_messages', 'error', true)`;

const TABLES_A_STATEMENT = 500;

/** Readers still read, pg_dump among them; what somebody writes from now on would be in no backup. */
function keepWritersOut(db: Queryable, plan: DropPlan): Promise<void> {
  return lockTables(db, plan, 'exclusive');
}

async function lockTables(db: Queryable, { tables }: DropPlan, mode: 'exclusive' | 'access exclusive'): Promise<void> {
  for (let start = 0; start < tables.length; start += TABLES_A_STATEMENT) {
    await db.query(`lock table ${tables.slice(start, start + TABLES_A_STATEMENT).join(', ')} in ${mode} mode`);
  }
}

/**
 * What was made or changed since the plan is in no backup, and a CASCADE would take it along. Once nobody else has a lock on a
 * table, whatever was built on one is committed, and seen. What is made in a schema later than this, DROP SCHEMA refuses.
 */
async function requireUnchanged(
  db: Queryable,
  target: Target,
  { plan, seen }: { readonly plan: DropPlan; readonly seen: Seen },
): Promise<void> {
  await lockTables(db, plan, 'access exclusive');
  if (isSamePlan(plan, await planDrop(db, target, UNCHANGED)) && (await areDefinitionsAsSeen(db, seen))) return;
  throw changedMeanwhile(target, UNCHANGED);
}

async function backUp(safety: SafetyBackup, { signal, onProgress }: OperationControls): Promise<void> {
  onProgress?.({ step: 'backing up what will be dropped' });
  try {
    await safety.make({ signal });
  } catch (error) {
    throw explained(error, UNCHANGED, signal);
  }
}

/** The gate has decided before the backup, which takes as long as it takes. */
async function requireAllowed(
  db: Queryable,
  target: Target,
  { operation, stillAlone, signal }: DropOptions,
): Promise<void> {
  try {
    await stillAlone();
    await refuseIfChanged(db, target, operation);
  } catch (error) {
    throw explained(error, UNCHANGED, signal);
  }
}

/** A CASCADE that reaches a part of an extension would take the whole extension: nobody asked for that. */
async function requireExtensions(db: Queryable, target: Target, before: readonly { name: string }[]): Promise<void> {
  const after = new Set((await readExtensions(db)).map(({ name }) => name));
  const lost = before.map(({ name }) => name).filter((name) => !after.has(name));
  if (lost.length === 0) return;
  throw new ManageDbError(
    'SQL_FAILED',
    `Extensions of ${target.database} are built on objects that would be dropped: ${lost.join(', ')}. ${UNCHANGED}`,
    {
      hint: `Drop them first: drop extension ${lost.map(escapeIdentifier).join(', ')} cascade;`,
      details: { extensions: lost },
    },
  );
}

/** initialize-db applies everything again afterwards. */
async function forgetMigrations(db: Queryable): Promise<void> {
  for (const table of ownTables('history')) {
    const { rows } = await db.query<{ present: boolean }>('select pg_catalog.to_regclass($1) is not null as present', [
      `manage_db.${table}`,
    ]);
    if (rows[0]?.present) await db.query(`delete from manage_db.${table}`);
  }
}

/** Their slots are on other servers, which may not answer: whether they are dropped too is not for us to say. */
async function readIdleSubscriptions(db: Queryable): Promise<readonly string[]> {
  return (await readSubscriptions(db)).map(
    (name) => `The subscription ${name} stays, and has no tables any more. To end it: drop subscription ${name};`,
  );
}

/** Asked of the server only where everything was done before it failed. */
async function wasCommitted(target: Target, safety: SafetyBackup, { xid }: Progress): Promise<boolean> {
  if (xid === null) return false;
  try {
    return await isCommitted({ xid, what: 'the drop', anew: (work) => withConnection(target.settings, {}, work) });
  } catch (error) {
    if (error instanceof UnknownOutcome) throw error.saying(`What ${target.database} was is backup ${safety.id}.`);
    throw error;
  }
}

async function nothingDropped(error: unknown, target: Target, signal: AbortSignal | undefined): Promise<unknown> {
  const code = codeOf(error) ?? '';
  if (errorCodeOf(code) === 'LOCK_TIMEOUT') return lockTimeout(target, lockTimeoutMs(target), error);
  if (code === OUT_OF_LOCKS || isOutOfLocksInDump(error)) return tooManyLocks(target, error);
  if (NOT_AS_SEEN.includes(code) || isOvertaken(error)) return changedMeanwhile(target, UNCHANGED, error);
  return error instanceof ManageDbError ? error : explained(error, UNCHANGED, signal);
}

/** Somebody has written what it was about to drop, and committed while it waited. */
function isOvertaken(error: unknown): boolean {
  return isServerError(error) && /^tuple concurrently (?:updated|deleted)$/.test(error.message);
}

/** pg_dump locks every table beside us. */
function isOutOfLocksInDump(error: unknown): boolean {
  return error instanceof ManageDbError && /out of shared memory/.test(`${error.message}${error.details.stderr ?? ''}`);
}
