import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { SafetyBackup } from '../backup/safety-backup.js';
import { UnknownOutcome } from '../commit-outcome.js';
import { encodingDifference } from '../compare/encoding-difference.js';
import type { DefinitionDifference } from '../compare/found-difference.js';
import { undefinedOf } from '../compare/incomparable.js';
import { onBoth, withSides } from '../compare/side.js';
import { searchPathOf } from '../database-state/search-path.js';
import { explained } from '../failure.js';
import { whileOthersAreKeptOut } from '../scratch/keep-others-out.js';
import { lockPatience } from '../trigger-work/in-trigger-transaction.js';
import { applyUpdate } from './schema-update/apply-update.js';
import type { AppliedUpdate } from './schema-update/applying.js';
import { isEmptySchema, plainSchema } from './schema-update/plain-schema.js';
import { describeSteps, type SchemaUpdatePlan } from './schema-update/plan.js';
import { readPresent } from './schema-update/present-schema.js';
import { refuseLosses } from './schema-update/refuse-losses.js';
import { readRisks } from './schema-update/risks.js';
import { updateSteps } from './schema-update/update-steps.js';
import { WantedSchema } from './schema-update/wanted-schema.js';

export type { SchemaUpdatePlan, UpdateLock, UpdateStatement } from './schema-update/plan.js';
export type { StatementRisk } from './schema-update/risks.js';

export interface PlanningOptions extends OperationControls {
  /** Also owners, grants and default privileges become as in the source. By default the target keeps its own. */
  readonly withGrants?: boolean | undefined;
  /** Given the session in which `from` is read, at the moment of which the plan will be. What it throws ends the planning. */
  readonly onSnapshot?: (db: Client) => Promise<void>;
}

export interface ApplyingOptions extends OperationControls {
  /** Goes on although rows or values are lost: the target is backed up first. */
  readonly allowDataLoss?: boolean | undefined;
  /** Milliseconds that one wait for locks may last; 2500 by default. */
  readonly lockTimeoutMs?: number | undefined;
  /** Milliseconds within which it is tried again when a table stays locked; four times as long by default. */
  readonly lockBudgetMs?: number | undefined;
}

export interface SchemaUpdated {
  /** How many statements were executed; 0: there was nothing to do. */
  readonly statements: number;
  /** What was lost, in sentences. */
  readonly losses: readonly string[];
  /** What the target was; `null`: nothing was lost. */
  readonly safetyBackup: string | null;
  /** The command that leads back to it; `null`: there is no backup. */
  readonly undo: string | null;
  /** What is different all the same: no statement makes it equal. */
  readonly remaining: readonly DefinitionDifference[];
  readonly warnings: readonly string[];
  readonly durationMs: number;
}

/**
 * Computes what makes the schema of `to` like that of `from`, with what each statement puts at risk. Both are only read, each
 * in one snapshot. manage_db's own schema takes no part, nor do subscriptions and user mappings.
 *
 * @throws ManageDbError `USAGE` where both are the same database, `LOCK_TIMEOUT`, `INTERRUPTED`, and the connection's codes
 * @example
 * const plan = await planSchemaUpdate(from, to, {});
 * if (plan.losses.length === 0) await applySchemaUpdate(to, plan, {});
 */
export async function planSchemaUpdate(
  from: Target,
  to: Target,
  { withGrants = false, onSnapshot, ...controls }: PlanningOptions,
): Promise<SchemaUpdatePlan> {
  try {
    return await withSides(from, to, controls, async (sides) => {
      await onSnapshot?.(sides.from.client);
      sides.onProgress({ step: 'comparing definitions' });
      const salt = randomBytes(16).toString('hex');
      const [ours, present] = await onBoth(sides, async ({ client, major }) => readPresent(client, { salt, major }));
      const wantedWith = (script: WantedSchema['script']) =>
        new WantedSchema({
          ...{ definitions: ours.definitions, major: ours.major, salt, withGrants, script },
          searchPath: searchPathOf(sides.from.properties),
        });
      const compared = wantedWith(null);
      const steps = await updateSteps(compared, present);
      const isNew = isEmptySchema(steps.present) && steps.differences.length > 0;
      const wanted = isNew ? wantedWith(await plainSchema(sides, withGrants)) : compared;
      const risks = isNew ? [] : await readRisks(sides.to.client, steps);
      const majors = [sides.from.major, sides.to.major];
      const part = {
        ...{ selection: null, withOwners: withGrants, withGrants },
        ...{ oldestMajor: Math.min(...majors), newestMajor: Math.max(...majors) },
      };
      return describeSteps(wanted, steps, {
        risks,
        from,
        to,
        available: present.extensions,
        encoding: encodingDifference(sides, part),
        unread: [
          ...undefinedOf(sides.from, ours.definitions, part),
          ...undefinedOf(sides.to, present.definitions, part),
        ],
      });
    });
  } catch (error) {
    throw explained(error, 'Nothing was changed.', controls.signal);
  }
}

/**
 * Makes the schema of `to` what `plan` says, in one transaction on the live database; its rows stay. The difference is computed
 * again when everything is locked, so that nobody's change in between is overwritten, and once more before the COMMIT: what
 * is not equal then, and was not announced, rolls everything back. A table that stays locked is tried again, every lock being
 * given back in between.
 *
 * New labels of an enum that other statements use have to be committed before those; they stay when the rest fails, and no
 * row has them.
 *
 * @throws UnknownOutcome; ManageDbError, the target being unchanged: `USAGE` for a plan with obstacles, or with losses
 *   without `allowDataLoss`; `LOCK_TIMEOUT`, `SQL_FAILED` and `PERMISSION_DENIED` naming the statement, `DATABASE_IN_USE` when
 *   its definitions have changed meanwhile, `STAMP_MISMATCH`, `KILL_SWITCH`, `INTERRUPTED`
 */
export async function applySchemaUpdate(
  to: Target,
  plan: SchemaUpdatePlan,
  { allowDataLoss = false, lockTimeoutMs, lockBudgetMs, ...controls }: ApplyingOptions,
): Promise<SchemaUpdated> {
  const startedAt = Date.now();
  refuseObstacles(to, plan);
  if (!allowDataLoss) refuseLosses(to, plan.losses);
  const safety = await SafetyBackup.prepare(to, { label: 'before a schema update', encryption: null }, controls);
  // a restore would put another database in its place
  const applied = await whileOthersAreKeptOut(to, null, async (stillAlone) => {
    try {
      const patience = lockPatience({ lockTimeoutMs, lockBudgetMs });
      return await applyUpdate({ target: to, plan, allowDataLoss, patience, safety, stillAlone, controls });
    } catch (error) {
      if (error instanceof UnknownOutcome) {
        throw safety.id === null ? error : error.saying(`What ${to.database} was is backup ${safety.id}.`);
      }
      throw await safety.discard(error);
    }
  });
  return { ...described(applied, plan, to, safety), durationMs: Date.now() - startedAt };
}

function described(
  { losses, remaining, statements, warnings }: AppliedUpdate,
  plan: SchemaUpdatePlan,
  { environment }: Target,
  safety: SafetyBackup,
): Omit<SchemaUpdated, 'durationMs'> {
  return {
    statements,
    losses,
    safetyBackup: safety.id,
    undo: safety.id === null ? null : `manage_db restore-backup ${safety.id} --env ${environment}`,
    remaining: [...plan.remaining.filter(({ kind }) => kind === 'database'), ...remaining],
    warnings: [...warnings, ...safety.warnings],
  };
}

function refuseObstacles({ environment, database }: Target, { obstacles, from }: SchemaUpdatePlan): void {
  if (obstacles.length === 0) return;
  throw new ManageDbError(
    'USAGE',
    `The schema of ${database} (${environment}) cannot be updated: ${obstacles.join(' ')} Nothing was changed.`,
    {
      hint: `See what differs: manage_db compare-db --from ${from.environment} --to ${environment} --verbose`,
      details: { obstacles },
    },
  );
}
