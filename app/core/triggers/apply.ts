import type { TriggerTarget } from '../../database/catalog/trigger-targets.js';
import type { Queryable } from '../../database/queryable.js';
import { createTrigger, dropTrigger, tableName } from './create-trigger.js';
import { installFunctions } from './install-functions.js';
import { withLockErrors } from './locks.js';
import { modeLetter, readSpecialModes, setMode } from './modes.js';
import { type TriggerPack, withGenerated } from './pack.js';
import { type PlanOptions, planTriggers } from './plan.js';
import type { PlannedTrigger, Skipped, TriggerPlan, TriggerRef } from './planned-trigger.js';
import { isNews, register } from './register.js';

export type { TriggerRef } from './planned-trigger.js';

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
  readonly skipped: readonly Skipped[];
  /** The SQL, in the order in which it is executed. Empty when everything is in place. */
  readonly statements: readonly string[];
}

export interface ApplyOptions extends PlanOptions {
  readonly dryRun: boolean;
  /** Milliseconds that each wait for a lock may last. */
  readonly lockTimeoutMs: number;
  /** Functions ({@link functionKey}) whose files are not executed. */
  readonly leaveFunctions?: ReadonlySet<string>;
  /** Whether functions and triggers are done, or only one of them. */
  readonly part?: 'functions' | 'triggers';
  /** With `part: 'functions'`: told the tables (oids, in order) whose triggers are not as they shall be. */
  readonly onPlan?: (tables: readonly number[]) => void;
}

/** How many statements travel to the server at once. */
const BATCH = 200;

/**
 * Brings functions and triggers of the packs `given` into the database, in the open transaction of `db`, and registers them. What
 * is as declared is not touched. A trigger that somebody disabled stays disabled, also when it is replaced. With `dryRun`
 * everything is undone again, and no table is locked but those of {@link readConditions}, for a moment.
 *
 * @param db where it is no dry run, with the schema manage_db in place
 * @throws TriggerLockError when a table stays locked; ManageDbError `SQL_FAILED`, `NOT_FOUND`
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
  const setup = packs.flatMap((pack) => pack.setup ?? []);
  for (const statement of setup) await db.query(statement);
  const leave = options.leaveFunctions ?? new Set();
  const functions = await installFunctions(db, packs, { leave, isInstalled: options.part === 'triggers' });
  const registration = { files: functions.files, leave, environment: options.environment };
  let plan = await planTriggers(db, packs, options);
  if (options.part === 'functions') {
    await register(db, { triggers: [], skipped: [] }, registration);
    const tables = tablesToDo(plan);
    options.onPlan?.([...tables]);
    const done = plan.triggers.filter(({ target }) => !tables.has(target.oid));
    return summarise({ ...plan, triggers: done }, [...setup, ...functions.statements]);
  }
  if (!options.dryRun && changed(plan).length > 0) {
    await lockTables(db, plan);
    // somebody else may have been at it while we waited
    plan = await planTriggers(db, packs, options);
  }
  const statements = await triggerStatements(db, plan);
  if (options.dryRun) await db.query('rollback to savepoint manage_db_dry_run');
  else {
    await execute(db, plan, statements);
    await register(db, plan, registration);
  }
  return summarise(plan, [...setup, ...functions.statements, ...statements]);
}

/** Whether anything is to be done to the trigger itself. */
export function isChanged({ action, setsMode }: PlannedTrigger): boolean {
  return action !== 'unchanged' || setsMode;
}

/** In oid order, as everything here that locks. */
function tablesToDo({ triggers }: TriggerPlan): ReadonlySet<number> {
  const oids = triggers.filter(isNews).map(({ target }) => target.oid);
  return new Set(oids.sort((a, b) => a - b));
}

function changed(plan: TriggerPlan): PlannedTrigger[] {
  return plan.triggers.filter(isChanged);
}

function targetsOf(plan: TriggerPlan): TriggerTarget[] {
  return changed(plan).map(({ target }) => target);
}

/** All locks first and in oid order, so that two that apply at once, or an application, cannot deadlock with us half-way. */
async function lockTables(db: Queryable, plan: TriggerPlan): Promise<void> {
  // LOCK TABLE on a view would lock the tables below it; CREATE TRIGGER on a view does not
  const tables = changed(plan).filter(({ target }) => target.kind !== 'v');
  // DROP TRIGGER takes the strongest lock there is: from the beginning, not on top of a weaker one
  const dropping = new Set(tables.filter(({ action }) => action === 'recreate').map(({ target }) => target.oid));
  const byOid = new Map(tables.map((planned) => [planned.target.oid, tableName(planned)]));
  const locks = [...byOid]
    .sort(([a], [b]) => a - b)
    .map(
      ([oid, name]) => `lock table ${name} in ${dropping.has(oid) ? 'access exclusive' : 'share row exclusive'} mode`,
    );
  if (locks.length === 0) return;
  await withLockErrors(targetsOf(plan), () => db.query(locks.join(';\n')));
}

async function triggerStatements(db: Queryable, plan: TriggerPlan): Promise<string[]> {
  const todo = changed(plan);
  const kept = todo.flatMap(({ action, installed, setsMode }) =>
    (action === 'replace' || action === 'recreate') && !setsMode && installed !== null ? [installed.oid] : [],
  );
  const modes = kept.length === 0 ? [] : await readSpecialModes(db, kept);
  return [...todo.flatMap(definingStatements), ...modes.map((mode) => setMode(mode, 'one')), ...todo.flatMap(modeOf)];
}

function definingStatements(planned: PlannedTrigger): string[] {
  if (planned.action === 'unchanged') return [];
  return [...(planned.action === 'recreate' ? [dropTrigger(planned)] : []), createTrigger(planned)];
}

function modeOf({ setsMode, wantedMode, declaration, target }: PlannedTrigger): string[] {
  if (!setsMode) return [];
  const mode = modeLetter(wantedMode);
  return [setMode({ schema: target.schema, table: target.name, name: declaration.name, mode }, 'tree')];
}

async function execute(db: Queryable, plan: TriggerPlan, statements: readonly string[]): Promise<void> {
  for (let start = 0; start < statements.length; start += BATCH) {
    await withLockErrors(targetsOf(plan), () => db.query(statements.slice(start, start + BATCH).join(';\n')));
  }
}

function summarise(plan: TriggerPlan, statements: readonly string[]): ApplyTriggersResult {
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
    skipped: plan.skipped,
    statements,
  };
}
