import type { Queryable } from '../../database/queryable.js';
import { forgetTriggers, noteVerified } from '../../database/records/trigger-registry.js';
import { ensureSchema } from '../../database/schema/ensure-schema.js';
import { getOperationSession } from '../../services/database-service.js';
import { ManageDbError } from '../errors.js';
import { nearest } from '../nearest.js';
import { nextCommand } from '../next-command.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { type ApplyTriggersResult, applyPacks } from '../triggers/apply.js';
import { isDisabled, type JudgedTrigger } from '../triggers/drift.js';
import { functionKey } from '../triggers/function-file.js';
import { keyOf, type Skipped } from '../triggers/planned-trigger.js';
import { sidesOf } from '../triggers/trigger-diff.js';
import { DRIFT_STATES, type DriftState, type TriggerReport } from '../triggers/trigger-report.js';
import { exerciseTriggers, type TestTriggersResult } from './trigger-test/test-triggers.js';
import { inTriggerTransaction, lockPatience } from './trigger-work/in-trigger-transaction.js';
import { maintainPacks, preparePacks } from './trigger-work/maintain-packs.js';
import { readPacks } from './trigger-work/packs.js';
import { type Drift, readDrift } from './trigger-work/read-drift.js';

export interface ListTriggersOptions extends OperationOptions {
  readonly schema?: string | undefined;
  /** `'users'` in any schema, or `'clinic.users'`. */
  readonly table?: string | undefined;
  readonly state?: DriftState | undefined;
}

export interface ListedTriggers {
  readonly triggers: readonly TriggerReport[];
}

export interface VerifyTriggersOptions extends Omit<ListTriggersOptions, 'state'> {
  /** Brings back what is missing, enables what was disabled by hand, applies what has changed in the declarations. */
  readonly fix?: boolean | undefined;
  /** With `fix`: also overwrites what somebody has changed by hand or disabled on purpose. */
  readonly overrideDrift?: boolean | undefined;
  /** Also makes every trigger fire, see `testTriggers`. Refused where the database is protected. */
  readonly behaviour?: boolean | undefined;
  /** Milliseconds that one wait for locks may last; 2500 by default. */
  readonly lockTimeoutMs?: number | undefined;
}

export interface VerifiedTriggers {
  /** Nothing has to be done. */
  readonly ok: boolean;
  readonly counts: Readonly<Record<DriftState, number>>;
  readonly triggers: readonly TriggerReport[];
  /** What is declared and is not applied here, with the reason. That alone is no drift. */
  readonly skipped: readonly Skipped[];
  /** What is wrong with whole packs, such as a log that is not protected as it should be, in sentences. */
  readonly problems: readonly string[];
  /** What `fix` has done; `null` without it. */
  readonly fixed: ApplyTriggersResult | null;
  /** What making them fire has shown; `null` without `behaviour`. */
  readonly behaviour: TestTriggersResult | null;
}

export interface DiffTriggersOptions extends Omit<ListTriggersOptions, 'state'> {
  /** Only triggers of this name. */
  readonly name?: string | undefined;
}

export interface TriggerDiff extends Pick<TriggerReport, 'schema' | 'table' | 'name' | 'state' | 'recommendation'> {
  /** Unified, from what it should be to what it is. */
  readonly patch: string;
}

/**
 * Lists the triggers of a database with their states, declared ones that are not there included.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`, `INVALID_CONFIGURATION`, `SQL_FAILED` for a function's file, and what
 *   connecting throws
 * @example const { triggers } = await listTriggers({ env: 'production', state: 'disabled' });
 */
export async function listTriggers(options: ListTriggersOptions = {}): Promise<ListedTriggers> {
  const { state } = options;
  if (state !== undefined && !DRIFT_STATES.includes(state)) {
    throw new ManageDbError('USAGE', `There is no state ${state}.`, { hint: `States: ${DRIFT_STATES.join(', ')}` });
  }
  return guarded('list-db-triggers', options, async (target) => {
    const reports = reportsOf((await look(target, options)).triggers);
    return { triggers: state === undefined ? reports : reports.filter((report) => report.state === state) };
  });
}

/**
 * Compares declarations, registry and catalog; with `fix`, heals what can be healed without overwriting anybody's work.
 * What somebody has disabled on purpose is no drift and stays as it is.
 *
 * @throws ManageDbError as {@link listTriggers}; with `fix` also `LOCK_TIMEOUT`, `PERMISSION_DENIED` and what the gate throws
 * @example const { ok, triggers } = await verifyTriggers({ env: 'production' });
 */
export async function verifyTriggers(options: VerifyTriggersOptions = {}): Promise<VerifiedTriggers> {
  if (options.fix !== true && (options.overrideDrift === true || options.dryRun === true)) {
    throw new ManageDbError('USAGE', 'overrideDrift and dryRun are about what is fixed. Nothing was changed.', {
      hint: 'Add --fix, or leave them out.',
    });
  }
  if (options.behaviour === true) return verifyBehaviour(options);
  if (options.fix === true) return guarded('heal-db-triggers', options, (target) => heal(target, options));
  return guarded('verify-db-triggers', options, async (target) => verified(await look(target, options), null));
}

/** Where they may not be made to fire, nothing is healed either: that is decided first. */
function verifyBehaviour({ behaviour: _behaviour, ...options }: VerifyTriggersOptions): Promise<VerifiedTriggers> {
  const { fix: _fix, overrideDrift: _override, lockTimeoutMs: _timeout, dryRun: _dryRun, ...selection } = options;
  const { onTarget: _onTarget, ...inner } = options;
  return guarded('test-db-triggers', selection, async (target) => {
    const found = await verifyTriggers(inner);
    const behaviour = await exerciseTriggers(target, selection);
    const works = behaviour.triggers.every(
      ({ events, functionErrors }) => functionErrors.length === 0 && events.every(({ state }) => state !== 'failed'),
    );
    return { ...found, ok: found.ok && works, behaviour };
  });
}

/**
 * The differences between what triggers and their functions should be and what they are, as unified patches.
 *
 * @throws ManageDbError as {@link listTriggers}; `NOT_FOUND` for a name that no trigger has
 * @example for (const { patch } of (await diffTriggers({ env: 'staging' })).diffs) process.stdout.write(patch);
 */
export function diffTriggers(options: DiffTriggersOptions = {}): Promise<{ readonly diffs: readonly TriggerDiff[] }> {
  return guarded('diff-db-triggers', options, async (target) => ({
    diffs: await diffsOf(named((await look(target, options)).triggers, options.name)),
  }));
}

/** Everything that can be known at one moment. */
export interface TriggerSnapshot extends Pick<VerifiedTriggers, 'triggers' | 'problems'> {
  readonly diffs: readonly TriggerDiff[];
}

/** {@link listTriggers} and {@link diffTriggers} in one snapshot. */
export function readTriggerSnapshot(options: OperationOptions): Promise<TriggerSnapshot> {
  return guarded('list-db-triggers', options, async (target) => {
    const { triggers, problems } = await look(target, options);
    return { triggers: reportsOf(triggers), problems, diffs: await diffsOf(triggers) };
  });
}

async function diffsOf(judged: readonly JudgedTrigger[]): Promise<readonly TriggerDiff[]> {
  const { createTwoFilesPatch } = await import('diff');
  const diffs: TriggerDiff[] = [];
  for (const one of judged.filter(({ report }) => report.isDrift)) {
    const { schema, table, name, state, recommendation } = one.report;
    const { expected, actual } = await sidesOf(one);
    const patch = createTwoFilesPatch('expected', 'actual', expected, actual, undefined, undefined, { context: 3 });
    // its first line is only a rule
    diffs.push({ schema, table, name, state, recommendation, patch: patch.slice(patch.indexOf('\n') + 1) });
  }
  return diffs;
}

function named(judged: readonly JudgedTrigger[], name: string | undefined): readonly JudgedTrigger[] {
  if (name === undefined) return judged;
  const found = judged.filter(({ report }) => report.name === name);
  if (found.length > 0) return found;
  const names = [...new Set(judged.map(({ report }) => report.name))];
  const suggestion = nearest(name, names);
  throw new ManageDbError('NOT_FOUND', `There is no trigger ${name}.`, {
    hint: suggestion === null ? `See what there is: ${nextCommand('list-db-triggers')}` : `Did you mean ${suggestion}?`,
    details: { name, suggestion },
  });
}

type Part = Pick<ListTriggersOptions, 'schema' | 'table' | 'signal'>;

/** In one snapshot. */
async function look({ environment }: Target, { schema, table, signal }: Part): Promise<Drift> {
  const packs = await readPacks();
  const filter = {
    environment,
    ...(schema === undefined ? {} : { schema }),
    ...(table === undefined ? {} : { table }),
  };
  const session = { env: environment, readOnly: true, isolation: 'repeatable read' } as const;
  return getOperationSession((db) => readDrift(db, packs, filter), {
    ...session,
    ...(signal === undefined ? {} : { signal }),
  });
}

function reportsOf(judged: readonly JudgedTrigger[]): readonly TriggerReport[] {
  return judged.map(({ report }) => report);
}

function verified({ triggers: judged, skipped, problems }: Drift, fixed: ApplyTriggersResult | null): VerifiedTriggers {
  const triggers = reportsOf(judged);
  const counts = Object.fromEntries(DRIFT_STATES.map((state) => [state, 0])) as Record<DriftState, number>;
  for (const { state } of triggers) counts[state] += 1;
  const ok = problems.length === 0 && triggers.every(({ isDrift }) => !isDrift);
  return { ok, counts, triggers, skipped, problems, fixed, behaviour: null };
}

async function heal(target: Target, options: VerifyTriggersOptions): Promise<VerifiedTriggers> {
  const { dryRun = false, overrideDrift = false, schema, table, signal } = options;
  const packs = await readPacks();
  const filter = {
    environment: target.environment,
    ...(schema === undefined ? {} : { schema }),
    ...(table === undefined ? {} : { table }),
  };
  const work = { target, signal, ...lockPatience(options) };
  options.onProgress?.({ step: 'healing triggers' });
  const prepared = dryRun ? [] : await preparePacks(work, packs);
  const healed = await inTriggerTransaction(work, async (db, lockTimeoutMs) => {
    if (!dryRun) await ensureSchema(db);
    const before = await readDrift(db, packs, filter);
    const scope = healing(before.triggers, overrideDrift);
    const fixed = await applyPacks(db, packs, { ...filter, ...scope, dryRun, lockTimeoutMs, missingFunctions: 'skip' });
    const after = await readDrift(db, packs, filter);
    if (!dryRun) await note(db, { before, after });
    return { result: verified(after, fixed), fixed };
  });
  const maintained = await maintainPacks(work, packs, { dryRun });
  const fixed = { ...healed.fixed, statements: [...prepared, ...healed.fixed.statements, ...maintained] };
  return { ...healed.result, fixed };
}

/** A verification alone writes nothing; this one was allowed to. */
async function note(
  db: Queryable,
  { before, after }: { readonly before: Drift; readonly after: Drift },
): Promise<void> {
  await forgetTriggers(db, before.obsolete);
  const inOrder = reportsOf(after.triggers).filter(({ state }) => state === 'in_sync');
  if (inOrder.length > 0) await noteVerified(db, inOrder);
}

/** What may be touched, and what is somebody's own. */
function healing(judged: readonly JudgedTrigger[], overrideDrift: boolean) {
  const keys = (wanted: (one: JudgedTrigger) => boolean): ReadonlySet<string> =>
    new Set(judged.filter(wanted).map(({ report }) => keyOf(report)));
  const doesNotFire = ({ modes }: JudgedTrigger): boolean => modes.some(isDisabled);
  const isByHand = ({ report }: JudgedTrigger): boolean => report.state === 'manual_override';
  // one whose function somebody has changed can be enabled without touching that
  const isLeft = (one: JudgedTrigger): boolean => isByHand(one) && (one.byHand.length > 0 || !doesNotFire(one));
  const isDisabledOnPurpose = ({ report }: JudgedTrigger): boolean => report.state === 'disabled' && !report.isDrift;
  const overridden = judged.flatMap(({ function: { live, overridden: parts } }) =>
    parts.length > 0 && live !== null ? [functionKey(live)] : [],
  );
  return {
    leave: overrideDrift ? new Set<string>() : keys(isLeft),
    overridesFunctions: overrideDrift,
    leaveFunctions: overrideDrift ? new Set<string>() : new Set(overridden),
    enforceMode: keys(
      (one) => (doesNotFire(one) && one.byHand.length === 0) || (overrideDrift && one.modes.length > 0),
    ),
    resetMode: overrideDrift ? keys(isDisabledOnPurpose) : new Set<string>(),
  };
}
