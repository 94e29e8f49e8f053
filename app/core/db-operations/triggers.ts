import type { Queryable } from '../../database/queryable.js';
import { ensureSchema } from '../../database/schema/ensure-schema.js';
import { errorWith, ManageDbError } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { type ApplyOptions, type ApplyTriggersResult, applyPacks } from '../triggers/apply.js';
import type { TriggerPack } from '../triggers/pack.js';
import { requireRelation } from './inspection/find-relation.js';
import { requireSchema } from './inspection/require-schema.js';
import { inTriggerTransaction, lockPatience, type TriggerTransactions } from './trigger-work/in-trigger-transaction.js';
import { maintainPacks, preparePacks } from './trigger-work/maintain-packs.js';
import { choosePacks, readPacks } from './trigger-work/packs.js';

export interface ApplyTriggersOptions extends OperationOptions {
  /** Only this pack: `base`, `security`, `audit`, or `workspace` for the declarations of the triggers folder. */
  readonly pack?: string | undefined;
  readonly schema?: string | undefined;
  /** `'users'` in any schema, or `'clinic.users'`. */
  readonly table?: string | undefined;
  /** Milliseconds that one wait for locks may last; 2500 by default. Then all of them are given back. */
  readonly lockTimeoutMs?: number | undefined;
  /** Milliseconds within which it is tried again; 10000 by default. */
  readonly lockBudgetMs?: number | undefined;
  /**
   * Commits table by table, so that no lock is held longer than one table needs; what is done is not done again when it is
   * interrupted and run once more. The default where the database is protected.
   */
  readonly perTable?: boolean | undefined;
}

/**
 * Installs the declared triggers and their functions, in one transaction (all or nothing) or table by table. What is in
 * place is not touched; nothing is dropped but a constraint trigger that has to be created anew, and what a generating pack
 * would not install any more; what was left out comes with its reason, functions that somebody has changed by hand too.
 * Once it is committed, the packs' tables are maintained.
 *
 * @throws ManageDbError `LOCK_TIMEOUT` naming the session in the way, `SQL_FAILED`, `NOT_FOUND`, `USAGE`,
 *   `INVALID_CONFIGURATION`, and what the gate and connecting throw
 * @example const { created, skipped } = await applyTriggers({ env: 'development', schema: 'clinic' });
 */
export function applyTriggers(options: ApplyTriggersOptions = {}): Promise<ApplyTriggersResult> {
  return guarded('apply-db-triggers', options, (target) => applyTriggersTo(target, options));
}

/** {@link applyTriggers} with the base pack only: timestamps and user tracking. */
export function applyBaseTriggers(options: Omit<ApplyTriggersOptions, 'pack'> = {}): Promise<ApplyTriggersResult> {
  return applyTriggers({ ...options, pack: 'base' });
}

/** The work of {@link applyTriggers}, for operations that have passed the gate themselves. */
export async function applyTriggersTo(
  target: Target,
  options: Omit<ApplyTriggersOptions, 'env' | 'consent' | 'onTarget'>,
): Promise<ApplyTriggersResult> {
  const { dryRun = false, signal, schema, table, onProgress } = options;
  const { pack } = options;
  const packs = await readPacks();
  const covered = choosePacks(packs, pack);
  const work: TriggerTransactions = { target, signal, ...lockPatience(options) };
  onProgress?.({ step: 'applying triggers' });
  const wanted: ApplyOptions = {
    environment: target.environment,
    dryRun,
    lockTimeoutMs: work.lockTimeoutMs,
    ...(pack === undefined ? {} : { pack }),
    ...(schema === undefined ? {} : { schema }),
    ...(table === undefined ? {} : { table }),
  };
  const prepared = dryRun ? [] : await preparePacks(work, covered);
  const isPerTable = !dryRun && (options.perTable ?? target.isProtected);
  const applied = isPerTable
    ? await applyPerTable(packs, wanted, { work, options })
    : await inTriggerTransaction(work, (db, lockTimeoutMs) =>
        applyIn(db, packs, { ...wanted, lockTimeoutMs }, options),
      );
  const maintained = await maintainPacks(work, covered, { dryRun });
  return { ...applied, statements: [...prepared, ...applied.statements, ...maintained] };
}

async function applyIn(
  db: Queryable,
  packs: readonly TriggerPack[],
  wanted: ApplyOptions,
  { schema, table }: Pick<ApplyTriggersOptions, 'schema' | 'table'>,
): Promise<ApplyTriggersResult> {
  if (schema !== undefined) await requireSchema(db, schema);
  if (table !== undefined) await requireRelation(db, table, schema);
  if (!wanted.dryRun) await ensureSchema(db);
  return applyPacks(db, packs, wanted);
}

/** The functions first, which lock no table; then each table in a transaction of its own. */
async function applyPerTable(
  packs: readonly TriggerPack[],
  wanted: ApplyOptions,
  {
    work,
    options,
  }: { work: TriggerTransactions; options: Pick<ApplyTriggersOptions, 'schema' | 'table' | 'onProgress'> },
): Promise<ApplyTriggersResult> {
  let tables: readonly number[] = [];
  const onPlan = (found: readonly number[]): void => {
    tables = found;
  };
  let result = await inTriggerTransaction(work, (db, lockTimeoutMs) =>
    applyIn(db, packs, { ...wanted, lockTimeoutMs, part: 'functions', onPlan }, options),
  );
  for (const [index, table] of tables.entries()) {
    options.onProgress?.({ step: 'applying triggers', done: index, total: tables.length, isDetail: true });
    try {
      const one = { ...wanted, part: 'triggers', tables: [table] } as const;
      const applied = await inTriggerTransaction(work, (db, lockTimeoutMs) =>
        applyPacks(db, packs, { ...one, lockTimeoutMs }),
      );
      result = together(result, applied);
    } catch (error) {
      throw withProgress(error, index, tables.length);
    }
  }
  return result;
}

function together(a: ApplyTriggersResult, b: ApplyTriggersResult): ApplyTriggersResult {
  return {
    created: [...a.created, ...b.created],
    replaced: [...a.replaced, ...b.replaced],
    unchanged: [...a.unchanged, ...b.unchanged],
    enabled: [...a.enabled, ...b.enabled],
    disabled: [...a.disabled, ...b.disabled],
    dropped: [...a.dropped, ...b.dropped],
    removed: [...a.removed, ...b.removed],
    skipped: a.skipped,
    skippedFunctions: a.skippedFunctions,
    statements: [...a.statements, ...b.statements],
  };
}

function withProgress(error: unknown, done: number, total: number): unknown {
  if (!(error instanceof ManageDbError) || done === 0) return error;
  return errorWith(error.code, `${error.message} Before that, ${done} of ${total} tables were done, and stay so.`, {
    hint: error.hint ?? 'Run it again: what is done is not done again.',
    details: { ...error.details, tablesDone: done, tables: total },
    cause: error,
  });
}
