import { ManageDbError } from '../errors.js';
import type { OperationControls } from '../progress.js';
import { guarded, type Permit, type Target } from '../safety/gate.js';
import { UnknownOutcome } from './commit-outcome.js';
import { updateSchema } from './copy/by-schema-update.js';
import { carryOut } from './copy/carry-out.js';
import type { CopyPlan } from './copy/copy-plan.js';
import type { Copied } from './copy/in-the-making.js';
import { planCopy } from './copy/plan.js';
import { type CopyOptions, type CopyRequest, copyRequest } from './copy/request.js';
import { requireSameDefinitions } from './copy/same-definitions.js';
import type { SchemaUpdated } from './copy/schema-update.js';
import { explained } from './failure.js';
import { describeUnchanged } from './restore/live-database.js';
import { readBecameProtected, type Source } from './restore/other-environment.js';

export type { RanHook } from './copy/after-copy.js';
export type { CopiedPart, CopyPlan, CopyStrategy, Expectation } from './copy/copy-plan.js';
export type { CopiedTableRows } from './copy/in-the-making.js';
export type { Quarantined, QuarantinedObject } from './copy/quarantine/quarantine.js';
export type { CopyOptions } from './copy/request.js';

export interface CopyResult extends Omit<Copied, 'strategy' | 'plan'> {
  readonly from: string;
  /** Of the target. */
  readonly environment: string;
  readonly database: string;
  readonly strategy: CopyPlan['strategy'];
  /** The one that was carried out: a template that was not possible any more has become a stream. */
  readonly plan: CopyPlan;
  /** What a schema update has done; `null`: the database was replaced, or nothing was done. */
  readonly updated: SchemaUpdated | null;
  /** `true`: nothing was done, and this is what would be. */
  readonly isDryRun: boolean;
  readonly durationMs: number;
}

/**
 * Copies the database of one environment into another: into a scratch database, which then takes the place of the target
 * by renaming. Until then the target is untouched, whatever fails; the source is only read. Definitions alone come into a
 * target that is there in one transaction.
 *
 * @throws ManageDbError `USAGE`, `PROTECTED_ENVIRONMENT` for what is protected and would come unmasked, `DRIFT` for what the masking
 *   rules do not decide, `NOT_FOUND` for what the target's server lacks, `DATABASE_IN_USE`, `STAMP_MISMATCH`, `KILL_SWITCH`,
 *   `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `DISK_FULL`, `LOCK_TIMEOUT`, `INTERRUPTED`, and what the gate and connecting throw
 * @example const { plan, durationMs } = await copyDatabase({ from: 'production', to: 'testing', mask: true, consent: { yes: true } });
 */
export async function copyDatabase(options: CopyOptions): Promise<CopyResult> {
  const request = copyRequest(options);
  const { from, to, isUnmasked, isDryRun: dryRun, controls } = request;
  const { consent, ask, onTarget } = options;
  const reading = { ...controls, env: from, environmentFlag: '--from', dryRun, ...described(request) };
  const writing = {
    ...{ ...controls, env: to, environmentFlag: '--to', dryRun, ...described(request) },
    ...(consent === undefined ? {} : { consent }),
    ...(ask === undefined ? {} : { ask }),
    ...(onTarget === undefined ? {} : { onTarget }),
  };
  return guarded('read-for-copy', reading, (source) =>
    guarded(isUnmasked ? 'copy-db-unmasked' : 'copy-db', writing, (target, permit) =>
      copy(source, target, request, permit),
    ),
  );
}

/** For the operation logs of both sides. */
function described({ from, to, part, strategy, isMasked, rules, isUnmasked, without, jobs }: CopyRequest) {
  return { from, to, part, strategy, masked: isMasked, rules, unmasked: isUnmasked, without, jobs };
}

async function copy(from: Target, target: Target, request: CopyRequest, permit: Permit): Promise<CopyResult> {
  refuseUnmasked(from, target, request);
  if (request.part !== 'schema' || !target.exists) return replaceTarget(from, target, request, permit);
  const startedAt = Date.now();
  const { plan, updated } = await updateSchema(from, target, request);
  const { statements = 0, losses = [], safetyBackup = null } = updated ?? {};
  if (updated !== null) permit.note({ schemaUpdate: { from: from.environment, statements, losses, safetyBackup } });
  return {
    ...{ from: from.environment, environment: target.environment, database: target.database },
    ...{ ...nothingDone(plan), plan, updated, isDryRun: request.isDryRun },
    durationMs: Date.now() - startedAt,
    warnings: [...new Set([...plan.warnings, ...(updated?.warnings ?? [])])],
  };
}

async function replaceTarget(
  from: Target,
  target: Target,
  request: CopyRequest,
  { reason, note }: Permit,
): Promise<CopyResult> {
  const startedAt = Date.now();
  const { controls, isDryRun, isMasked, part } = request;
  const { environment, database } = target;
  const source: Source = {
    environment: from.environment,
    isProtected: from.isProtected,
    killSwitch: from.stamp?.says?.killSwitch === true,
  };
  let outcome = describeUnchanged(target);
  try {
    if (part === 'data') await requireTarget(from, target, controls);
    const planned = await planCopy(from, target, request);
    const { plan } = planned;
    request.onPlan(plan);
    const places = { from: from.environment, environment, database, plan, updated: null, isDryRun };
    if (isDryRun) return { ...places, ...nothingDone(plan), durationMs: Date.now() - startedAt };
    const copied = await carryOut({
      ...{ target, source, planned, request, reason },
      onReplaced: () => {
        outcome = `${database} is the copy of ${from.environment}.`;
      },
    });
    const durationMs = Date.now() - startedAt;
    const { strategy } = copied;
    // what the next one of its kind is expected to take
    const { bytes } = copied.plan.expected;
    note({ copy: { from: from.environment, part, strategy, isMasked, bytes, durationMs } });
    const warnings = [
      ...copied.plan.warnings,
      ...copied.warnings,
      ...(isMasked ? [] : readBecameProtected(source, target)),
    ];
    return { ...places, ...copied, durationMs, warnings: [...new Set(warnings)] };
  } catch (error) {
    throw error instanceof UnknownOutcome ? error : explained(error, outcome, controls.signal);
  }
}

/** Rows need tables that are there, and the same as those that they come from. */
async function requireTarget(from: Target, to: Target, controls: OperationControls): Promise<void> {
  if (to.exists) return requireSameDefinitions(from, to, controls);
  throw new ManageDbError('USAGE', `${to.database} does not exist, so no rows can come into it.`, {
    hint: 'Copy all of it: leave out --data-only.',
  });
}

/**
 * What a protected environment holds must not come to lie in an open one as it is, by accident.
 *
 * @throws ManageDbError `PROTECTED_ENVIRONMENT`
 */
function refuseUnmasked(from: Target, to: Target, { isMasked, isUnmasked }: CopyRequest): void {
  if (!from.isProtected || to.isProtected || isMasked || isUnmasked) return;
  const unknown =
    from.stamp?.state === 'unstamped' ? ' Nobody has said yet what it is, so it counts as protected.' : '';
  throw new ManageDbError(
    'PROTECTED_ENVIRONMENT',
    `What ${from.environment} holds is protected, and ${to.environment} is not.${unknown} Nothing was changed.`,
    {
      hint: `Mask it: --mask (rules are proposed by manage_db masking init --env ${from.environment}). If it is meant as it is: --unmasked, which wants the whole ceremony.`,
    },
  );
}

function nothingDone({
  strategy,
  because,
}: CopyPlan): Omit<CopyResult, 'from' | 'environment' | 'database' | 'plan' | 'updated' | 'isDryRun' | 'durationMs'> {
  return {
    ...{ strategy, because, tables: [], copiedAt: new Date().toISOString(), sizeBytes: null, warnings: [] },
    ...{ previousDatabase: null, previousUntil: null },
    ...{ quarantined: { objects: [], rows: [], kept: [] }, hooks: [] },
  };
}
