import { resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { getWorkspace } from '../../../config/workspace.js';
import { ManageDbError, messageOf } from '../../errors.js';
import { compareVersions } from '../../migration-versions.js';
import { nextCommand } from '../../next-command.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import type { CheckedStep } from './check-steps.js';
import { withSafetyBackup } from './losses/with-safety-backup.js';
import type { MigrationRun, MigrationRunOptions, PreparedRun, RunPolicy } from './migration-run.js';
import type { Situation } from './plan.js';
import { type RunOptions, runSteps } from './runner.js';
import { judgeMigrations } from './states.js';

/** What was shown, behind the gate. */
export async function carryOut(
  target: Target,
  options: MigrationRunOptions,
  policy: RunPolicy,
  prepared: PreparedRun,
): Promise<MigrationRun> {
  const started = performance.now();
  const { signal, onProgress } = options;
  const controls = { ...(signal === undefined ? {} : { signal }), ...(onProgress === undefined ? {} : { onProgress }) };
  const warnings: string[] = [];
  const run = (onCommitted?: () => void) =>
    runSteps(target.settings, prepared.steps, {
      ...runOptions(options, policy, prepared, onCommitted),
      onWarning: (warning) => warnings.push(warning),
    });
  const done = prepared.plan.needsBackup
    ? await withSafetyBackup(target, controls, run)
    : { result: await run(), safetyBackup: null, undo: null, warnings: [] };
  const { result: ran, safetyBackup, undo } = done;
  const snapshot = ran.length === 0 ? NO_SNAPSHOT : await snapshotOf(target, options, prepared, controls);
  return outcome(prepared, {
    ran,
    durationMs: performance.now() - started,
    safetyBackup,
    undo,
    schemaFile: snapshot.schemaFile,
    warnings: [...warnings, ...done.warnings, ...snapshot.warnings],
  });
}

const NO_SNAPSHOT: Pick<MigrationRun, 'schemaFile' | 'warnings'> = { schemaFile: null, warnings: [] };

/** What was applied stays applied, whether or not it can be written down. */
async function snapshotOf(
  target: Target,
  options: MigrationRunOptions,
  { situation }: PreparedRun,
  controls: OperationControls,
): Promise<typeof NO_SNAPSHOT> {
  const path = options.schemaFile ?? situation.rules.schemaFile;
  if (path === null || path === false) return NO_SNAPSHOT;
  const { root } = await getWorkspace();
  const { writeSchemaSnapshot } = await import('./schema-snapshot/write-schema-snapshot.js');
  try {
    return { schemaFile: await writeSchemaSnapshot(target, resolve(root, path), controls), warnings: [] };
  } catch (error) {
    return { schemaFile: null, warnings: [`The schema could not be written to ${path}: ${messageOf(error)}`] };
  }
}

function runOptions(
  options: MigrationRunOptions,
  policy: RunPolicy,
  { situation, steps }: PreparedRun,
  onCommitted: (() => void) | undefined,
): RunOptions {
  const { signal, onProgress, lockTimeoutMs, lockBudgetMs, unknownStatement } = options;
  const { rules, files } = situation;
  return {
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
    onCommitted,
    lockTimeoutMs: lockTimeoutMs ?? rules.lockTimeoutMs,
    lockBudgetMs: lockBudgetMs ?? rules.lockBudgetMs,
    unknownStatement,
    onHistory: (history) => {
      const now = { ...situation, history, statuses: judgeMigrations(files, history) };
      refuseBuried(now, steps);
      policy.judge?.(now);
    },
  };
}

/** What is rolled back must be the newest: another runner may have put something on top of it. */
function refuseBuried({ history }: Situation, steps: readonly CheckedStep[]): void {
  const downs = steps.filter(({ direction }) => direction === 'down').map(({ migration }) => migration.version);
  const [newest] = downs;
  if (newest === undefined) return;
  const above = history.applied.filter(({ version }) => compareVersions(version, newest) > 0);
  if (above.length === 0) return;
  throw new ManageDbError(
    'DATABASE_IN_USE',
    `Another runner has applied ${above.map(({ version }) => version).join(', ')} since this was planned: nothing more is rolled back.`,
    { hint: `Look at the new plan, and run it again: ${nextCommand('show-all-migrations')}` },
  );
}

export function outcome(
  { situation, steps, plan }: PreparedRun,
  done: Partial<Omit<MigrationRun, 'database' | 'plan' | 'pending'>>,
): MigrationRun {
  const { ran = [], isDryRun = false, durationMs = 0, safetyBackup = null, undo = null } = done;
  const { schemaFile = null, warnings = [] } = done;
  const open = new Set(situation.statuses.filter(({ record }) => record === null).map(({ version }) => version));
  // what another runner has done counts as well
  for (const { migration, direction } of isDryRun ? [] : steps) {
    if (direction === 'up') open.delete(migration.version);
    else open.add(migration.version);
  }
  return {
    database: plan.database,
    isDryRun,
    plan,
    ran,
    pending: open.size,
    durationMs: Math.round(durationMs),
    schemaFile,
    safetyBackup,
    undo,
    warnings: [...plan.warnings, ...warnings],
  };
}
