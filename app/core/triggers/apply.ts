import { readSpecialModes } from '../../database/catalog/special-modes.js';
import type { Queryable } from '../../database/queryable.js';
import { readTriggerRecords } from '../../database/records/trigger-registry.js';
import { ManageDbError } from '../errors.js';
import { createTrigger, dropTrigger, tableName } from './create-trigger.js';
import { functionKey } from './function-file.js';
import { type InstalledFunctions, installFunctions } from './install-functions.js';
import { type LockWish, withLockErrors } from './locks.js';
import { modeLetter, setMode } from './modes.js';
import { coveredPacks, type TriggerPack, withGenerated } from './pack.js';
import { setUpPacks } from './pack-tables.js';
import { type PlanOptions, planTriggers } from './plan.js';
import type { PlannedTrigger, Skipped, SkippedFunction, TriggerPlan, TriggerRef } from './planned-trigger.js';
import { isNews, type Registration, register } from './register.js';

export type { SkippedFunction, TriggerRef } from './planned-trigger.js';

/** What applying did, or with `dryRun` would do. */
export interface ApplyTriggersResult {
  readonly created: readonly TriggerRef[];
  readonly replaced: readonly TriggerRef[];
  readonly unchanged: readonly TriggerRef[];
  /** That were disabled, and fire again. */
  readonly enabled: readonly TriggerRef[];
  /** That do not fire, because their declaration says so from now on. */
  readonly disabled: readonly TriggerRef[];
  /** Constraint triggers that were dropped and created again, because PostgreSQL cannot replace them. */
  readonly dropped: readonly TriggerRef[];
  /** That a generating pack had installed and would not any more, or that somebody had made of its functions: dropped. */
  readonly removed: readonly TriggerRef[];
  readonly skipped: readonly Skipped[];
  /** Functions that somebody has changed by hand, and that were left so. */
  readonly skippedFunctions: readonly SkippedFunction[];
  /** The SQL, locks included, in the order in which it is executed. Empty when everything is in place. */
  readonly statements: readonly string[];
}

export interface ApplyOptions extends PlanOptions {
  readonly dryRun: boolean;
  /** Milliseconds that each wait for a lock may last. */
  readonly lockTimeoutMs: number;
  /** Functions ({@link functionKey}) whose files are not executed. */
  readonly leaveFunctions?: ReadonlySet<string>;
  /**
   * Whether functions that somebody has changed by hand are overwritten by their files; where there is no file, they count
   * as right from then on. They stay as they are where absent.
   */
  readonly overridesFunctions?: boolean;
  /** Whether functions and triggers are done, or only one of them. */
  readonly part?: 'functions' | 'triggers';
  /** With `part: 'functions'`: told the tables (oids, in order) whose triggers are not as they shall be. */
  readonly onPlan?: (tables: readonly number[]) => void;
}

/** How many statements travel to the server at once. */
const BATCH = 200;

/**
 * Brings functions and triggers of the packs `given` into the database, in the open transaction of `db`, and registers them. What
 * is as declared is not touched. A trigger that somebody disabled stays disabled, also when it is replaced, and a function
 * that somebody has changed by hand stays so. What a generating pack had installed and would not any more is dropped. With `dryRun`
 * everything is undone again, and no table is locked but those of {@link readConditions}, for a moment.
 *
 * @param db where it is no dry run, with the schema manage_db in place
 * @throws TriggerLockError when a table stays locked; ManageDbError `SQL_FAILED`, `PERMISSION_DENIED`, `NOT_FOUND`, and
 *   `INVALID_CONFIGURATION` when a pack's settings speak of what there is not
 */
export async function applyPacks(
  db: Queryable,
  given: readonly TriggerPack[],
  options: ApplyOptions,
): Promise<ApplyTriggersResult> {
  await db.query(
    `select pg_catalog.set_config('lock_timeout', $1, true), pg_catalog.set_config('search_path', '', true),
      pg_catalog.set_config('quote_all_identifiers', 'off', true)`,
    [`${options.lockTimeoutMs}ms`],
  );
  if (options.dryRun) await db.query('savepoint manage_db_dry_run');
  const packs = await withGenerated(db, given, options.tables ?? null);
  const covered = coveredPacks(packs, options.pack);
  refuseProblems(covered);
  const isPrepared = options.part === 'triggers';
  const setup = isPrepared ? [] : await setUpPacks(db, covered);
  const { functions: registered } = await readTriggerRecords(db, []);
  const overrides = options.overridesFunctions === true;
  const functions = isPrepared
    ? PREPARED
    : await installFunctions(db, covered, { leave: options.leaveFunctions ?? new Set(), registered, overrides });
  const registration: Registration = {
    files: functions.files,
    leave: new Set(functions.skipped.map(functionKey)),
    known: overrides ? new Set() : new Set(registered.map(functionKey)),
    environment: options.environment,
  };
  const { skipped } = functions;
  let plan = await planTriggers(db, packs, options);
  if (options.part === 'functions') {
    await register(db, { triggers: [], removals: [], skipped: [] }, registration);
    const tables = tablesToDo(plan);
    options.onPlan?.([...tables]);
    const done = plan.triggers.filter(({ target }) => !tables.has(target.oid));
    return summarise({ ...plan, triggers: done, removals: [] }, skipped, [...setup, ...functions.statements]);
  }
  const locks = lockStatements(plan);
  if (!options.dryRun && locks.length > 0) {
    await withLockErrors(wishOf(plan), () => db.query(locks.join(';\n')));
    // somebody else may have been at it while we waited
    plan = await planTriggers(db, packs, options);
  }
  const statements = await triggerStatements(db, plan);
  if (options.dryRun) await db.query('rollback to savepoint manage_db_dry_run');
  else {
    await execute(db, plan, statements);
    await register(db, plan, registration);
  }
  return summarise(plan, skipped, [...setup, ...functions.statements, ...locks, ...statements]);
}

/** Of functions that a part before this one has installed. */
const PREPARED: InstalledFunctions = { files: [], skipped: [], statements: [] };

function refuseProblems(packs: readonly TriggerPack[]): void {
  const problems = packs.flatMap((pack) => pack.problems ?? []);
  const [pack] = packs.filter((one) => (one.problems ?? []).length > 0);
  if (pack === undefined) return;
  throw new ManageDbError('INVALID_CONFIGURATION', `${problems.join('; ')}. No trigger was changed.`, {
    hint: `Correct the settings of the ${pack.name} pack in the triggers folder.`,
    details: { problems },
  });
}

/** Whether anything is to be done to the trigger itself. */
export function isChanged({ action, setsMode }: PlannedTrigger): boolean {
  return action !== 'unchanged' || setsMode;
}

/** In oid order, as everything here that locks. */
function tablesToDo({ triggers, removals }: TriggerPlan): ReadonlySet<number> {
  const oids = [...triggers.filter(isNews), ...removals].map(({ target }) => target.oid);
  return new Set(oids.sort((a, b) => a - b));
}

function changed(plan: TriggerPlan): PlannedTrigger[] {
  return plan.triggers.filter(isChanged);
}

function isDropping({ triggers, removals }: TriggerPlan): boolean {
  return removals.length > 0 || triggers.some(({ action }) => action === 'recreate');
}

function wishOf(plan: TriggerPlan): LockWish {
  const tables = [...changed(plan), ...plan.removals].map(({ target }) => target);
  return { tables, waitsFor: isDropping(plan) ? 'everybody' : 'writers' };
}

/** All locks first and in oid order, so that two that apply at once, or an application, cannot deadlock with us half-way. */
function lockStatements(plan: TriggerPlan): readonly string[] {
  // DROP TRIGGER takes the strongest lock there is: from the beginning, not on top of a weaker one
  const dropping = [...changed(plan).filter(({ action }) => action === 'recreate'), ...plan.removals];
  const strongest = new Set(dropping.map(({ target }) => target.oid));
  // LOCK TABLE on a view would lock the tables below it, which CREATE TRIGGER does not; it knows no foreign tables
  const tables = [...changed(plan), ...plan.removals].filter(({ target: { kind } }) => kind === 'r' || kind === 'p');
  return [...new Map(tables.map((planned) => [planned.target.oid, tableName(planned)]))]
    .sort(([a], [b]) => a - b)
    .map(
      ([oid, name]) => `lock table ${name} in ${strongest.has(oid) ? 'access exclusive' : 'share row exclusive'} mode`,
    );
}

async function triggerStatements(db: Queryable, plan: TriggerPlan): Promise<string[]> {
  const todo = changed(plan);
  const kept = todo.flatMap(({ action, installed, setsMode }) =>
    (action === 'replace' || action === 'recreate') && !setsMode && installed !== null ? [installed.oid] : [],
  );
  const modes = kept.length === 0 ? [] : await readSpecialModes(db, kept);
  return [
    ...plan.removals.map(dropTrigger),
    ...todo.flatMap(definingStatements),
    ...modes.map((mode) => setMode(mode, 'one')),
    ...todo.flatMap(modeOf),
  ];
}

function definingStatements(planned: PlannedTrigger): string[] {
  if (planned.action === 'unchanged') return [];
  const { action, target, declaration } = planned;
  return [...(action === 'recreate' ? [dropTrigger({ target, name: declaration.name })] : []), createTrigger(planned)];
}

function modeOf({ setsMode, wantedMode, declaration, target }: PlannedTrigger): string[] {
  if (!setsMode) return [];
  const mode = modeLetter(wantedMode);
  return [setMode({ schema: target.schema, table: target.name, name: declaration.name, mode }, 'tree')];
}

async function execute(db: Queryable, plan: TriggerPlan, statements: readonly string[]): Promise<void> {
  for (let start = 0; start < statements.length; start += BATCH) {
    await withLockErrors(wishOf(plan), () => db.query(statements.slice(start, start + BATCH).join(';\n')));
  }
}

function summarise(
  plan: TriggerPlan,
  skippedFunctions: readonly SkippedFunction[],
  statements: readonly string[],
): ApplyTriggersResult {
  const refs = (wanted: (planned: PlannedTrigger) => boolean): TriggerRef[] =>
    plan.triggers
      .filter(wanted)
      .map(({ target, declaration }) => ({ schema: target.schema, table: target.name, name: declaration.name }));
  const isDisabled = ({ wantedMode, setsMode }: PlannedTrigger): boolean => setsMode && wantedMode === 'disabled';
  return {
    created: refs(({ action }) => action === 'create'),
    replaced: refs(({ action }) => action === 'replace' || action === 'recreate'),
    unchanged: refs((planned) => !isChanged(planned)),
    enabled: refs((planned) => planned.action !== 'create' && planned.setsMode && !isDisabled(planned)),
    disabled: refs(isDisabled),
    dropped: refs(({ action }) => action === 'recreate'),
    removed: plan.removals.map(({ target, name }) => ({ schema: target.schema, table: target.name, name })),
    skipped: plan.skipped,
    skippedFunctions,
    statements,
  };
}
