import { getWorkspace } from '../../config/workspace.js';
import { isServerError } from '../../services/database-errors.js';
import { getDbSession } from '../../services/database-service.js';
import { errorWith, ManageDbError } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { type ApplyTriggersResult, applyPacks } from '../triggers/apply.js';
import { basePack } from '../triggers/base-pack.js';
import { explainLockError, readTriggerLockHolders, TriggerLockError } from '../triggers/locks.js';
import type { TriggerPack } from '../triggers/pack.js';
import { loadWorkspaceTriggers } from '../triggers/workspace-pack.js';
import { explained } from './failure.js';
import { requireRelation } from './inspection/find-relation.js';
import { requireSchema } from './inspection/require-schema.js';
import { takeAdvisoryLock } from './migration/advisory-lock.js';

export interface ApplyTriggersOptions extends OperationOptions {
  /** Only this pack: `base`, or `workspace` for the declarations of the triggers folder. All of them by default. */
  readonly pack?: string | undefined;
  readonly schema?: string | undefined;
  /** `'users'` in any schema, or `'clinic.users'`. */
  readonly table?: string | undefined;
  /** Milliseconds that waiting for a table's lock may last; 5000 by default. */
  readonly lockTimeoutMs?: number | undefined;
}

/** Longer than deadlock_timeout (1 s), or an autovacuum in the way would never be told to yield. */
const LOCK_TIMEOUT_MS = 5000;

/**
 * Installs the declared triggers and their functions, in one transaction: all or nothing. What is in place is not
 * touched, nothing is dropped, and what was left out comes with its reason.
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
  const packs = choosePacks(await readPacks(), options.pack);
  const lockTimeoutMs = options.lockTimeoutMs ?? LOCK_TIMEOUT_MS;
  const session = { env: target.environment, ...(options.signal === undefined ? {} : { signal: options.signal }) };
  options.onProgress?.({ step: 'applying triggers' });
  try {
    return await getDbSession(async (db) => {
      if (options.schema !== undefined) await requireSchema(db, options.schema);
      if (options.table !== undefined) await requireRelation(db, options.table, options.schema);
      await takeAdvisoryLock(db, 'triggers', { timeoutMs: 60_000, signal: options.signal });
      return applyPacks(db, packs, {
        environment: target.environment,
        dryRun: options.dryRun ?? false,
        lockTimeoutMs,
        ...(options.schema === undefined ? {} : { schema: options.schema }),
        ...(options.table === undefined ? {} : { table: options.table }),
      });
    }, session);
  } catch (error) {
    if (!(error instanceof TriggerLockError)) throw explain(error, target);
    const asking = getDbSession((db) => readTriggerLockHolders(db, error), { ...session, readOnly: true });
    throw explainLockError(error, await asking.catch(() => []), lockTimeoutMs);
  }
}

async function readPacks(): Promise<TriggerPack[]> {
  const { triggersDir } = await getWorkspace();
  const workspace = await loadWorkspaceTriggers(triggersDir);
  return [basePack(workspace.base), workspace.pack];
}

function choosePacks(packs: readonly TriggerPack[], name: string | undefined): readonly TriggerPack[] {
  if (name === undefined) return packs;
  const chosen = packs.filter((pack) => pack.name === name);
  if (chosen.length > 0) return chosen;
  throw new ManageDbError('USAGE', `There is no trigger pack "${name}".`, {
    hint: `Packs: ${packs.map((pack) => pack.name).join(', ')}`,
  });
}

function explain(error: unknown, { user, database }: Target): unknown {
  if (!isServerError(error)) return error;
  const known = explained(error, `No trigger of ${database} was changed.`);
  const hint =
    known.code === 'PERMISSION_DENIED'
      ? `${user} must own the tables, or be given the right: grant trigger on all tables in schema <schema> to ${user};`
      : 'See what would be executed: manage_db apply-db-triggers --dry-run';
  return errorWith(known.code, known.message, {
    hint: error.hint === undefined ? hint : (known.hint ?? hint),
    details: known.details,
    cause: error,
  });
}
