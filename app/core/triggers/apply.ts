import type { TriggerTarget } from '../../database/catalog/trigger-targets.js';
import type { Queryable } from '../../database/queryable.js';
import { createTrigger, tableName } from './create-trigger.js';
import { installFunctions } from './install-functions.js';
import { withLockErrors } from './locks.js';
import { readSpecialModes, setMode } from './modes.js';
import type { TriggerPack } from './pack.js';
import { planTriggers } from './plan.js';
import type { PlannedTrigger, Skipped, TriggerFilter, TriggerPlan } from './planned-trigger.js';

export interface TriggerRef {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
}

/** What applying did, or with `dryRun` would do. */
export interface ApplyTriggersResult {
  readonly created: readonly TriggerRef[];
  readonly replaced: readonly TriggerRef[];
  readonly unchanged: readonly TriggerRef[];
  readonly enabled: readonly TriggerRef[];
  /** Created and then disabled, because their declaration says `enabled: false`. */
  readonly disabled: readonly TriggerRef[];
  readonly dropped: readonly TriggerRef[];
  readonly skipped: readonly Skipped[];
  /** The SQL, in the order in which it is executed. Empty when everything is in place. */
  readonly statements: readonly string[];
}

export interface ApplyOptions extends TriggerFilter {
  readonly dryRun: boolean;
  /** Milliseconds that each wait for a lock may last. */
  readonly lockTimeoutMs: number;
}

/** How many statements travel to the server at once. */
const BATCH = 200;

/**
 * Brings functions and triggers of `packs` into the database, in the open transaction of `db`. What is as declared is
 * not touched. A trigger that somebody disabled stays disabled, also when it is replaced. With `dryRun` everything is
 * undone again, and no table is locked but those of {@link readConditions}, for a moment.
 *
 * @throws TriggerLockError when a table stays locked; ManageDbError `SQL_FAILED`, `NOT_FOUND`
 */
export async function applyPacks(
  db: Queryable,
  packs: readonly TriggerPack[],
  options: ApplyOptions,
): Promise<ApplyTriggersResult> {
  await db.query(
    `select pg_catalog.set_config('lock_timeout', $1, true), pg_catalog.set_config('search_path', '', true)`,
    [`${options.lockTimeoutMs}ms`],
  );
  if (options.dryRun) await db.query('savepoint manage_db_dry_run');
  const functionStatements = await installFunctions(db, packs);
  let plan = await planTriggers(db, packs, options);
  if (!options.dryRun && changed(plan).length > 0) {
    await lockTables(db, plan);
    // somebody else may have been at it while we waited
    plan = await planTriggers(db, packs, options);
  }
  const statements = await triggerStatements(db, plan);
  if (options.dryRun) await db.query('rollback to savepoint manage_db_dry_run');
  else await execute(db, plan, statements);
  return summarise(plan, [...functionStatements, ...statements]);
}

function changed(plan: TriggerPlan): PlannedTrigger[] {
  return plan.triggers.filter(({ action }) => action !== 'unchanged');
}

function targetsOf(plan: TriggerPlan): TriggerTarget[] {
  return changed(plan).map(({ target }) => target);
}

/** All locks first and in oid order, so that two that apply at once, or an application, cannot deadlock with us half-way. */
async function lockTables(db: Queryable, plan: TriggerPlan): Promise<void> {
  // LOCK TABLE on a view would lock the tables below it; CREATE TRIGGER on a view does not
  const tables = changed(plan).filter(({ target }) => target.kind !== 'v');
  const byOid = new Map(tables.map((planned) => [planned.target.oid, tableName(planned)]));
  const names = [...byOid].sort(([a], [b]) => a - b).map(([, name]) => name);
  if (names.length === 0) return;
  await withLockErrors(targetsOf(plan), () => db.query(`lock table ${names.join(', ')} in share row exclusive mode`));
}

async function triggerStatements(db: Queryable, plan: TriggerPlan): Promise<string[]> {
  const todo = changed(plan);
  const replaced = todo.flatMap(({ action, installed }) =>
    action === 'replace' && installed !== null ? [installed.oid] : [],
  );
  const modes = replaced.length === 0 ? [] : await readSpecialModes(db, replaced);
  return [
    ...todo.flatMap((planned) => [createTrigger(planned), ...initialMode(planned)]),
    ...modes.map((mode) => setMode(mode, 'one')),
  ];
}

function initialMode({ action, declaration, target }: PlannedTrigger): string[] {
  if (action !== 'create' || declaration.enabled) return [];
  return [setMode({ schema: target.schema, table: target.name, name: declaration.name, mode: 'D' }, 'tree')];
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
  return {
    created: refs(({ action }) => action === 'create'),
    replaced: refs(({ action }) => action === 'replace'),
    unchanged: refs(({ action }) => action === 'unchanged'),
    enabled: [],
    disabled: refs(({ action, declaration }) => action === 'create' && !declaration.enabled),
    dropped: [],
    skipped: plan.skipped,
    statements,
  };
}
