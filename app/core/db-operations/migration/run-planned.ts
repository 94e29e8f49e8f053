import { basename, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { getWorkspace } from '../../../config/workspace.js';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError, messageOf } from '../../errors.js';
import { nextCommand } from '../../next-command.js';
import type { OperationControls } from '../../progress.js';
import type { OperationOptions, Target } from '../../safety/gate.js';
import type { OperationName } from '../../safety/operations.js';
import { stampIfNew } from '../../safety/write-stamp.js';
import { type CheckedStep, checkSteps } from './check-steps.js';
import type { Extent } from './choose-steps.js';
import type { LiveDifference } from './live-differences/compare-with-live.js';
import { readLiveDifferences } from './live-differences/read-live-differences.js';
import { isUnsafeAllowed, refuseUnsafe } from './live-differences/refuse-unsafe.js';
import type { Loss } from './losses/loss.js';
import { planLosses } from './losses/plan-losses.js';
import { withSafetyBackup } from './losses/with-safety-backup.js';
import { compareVersions } from './migration-files.js';
import { type PlannedMigration, planned, readSituation, type Situation } from './plan.js';
import { type MigrationStep, type RanMigration, type RunOptions, runSteps } from './runner.js';
import { checkSchemaFile } from './schema-snapshot/check-schema-file.js';
import type { SchemaSnapshot } from './schema-snapshot/write-schema-snapshot.js';
import { judgeMigrations } from './states.js';
import { undecidedLines } from './undecided.js';

/** What a run of migrations will do, before it does it. */
export interface MigrationPlan {
  readonly database: string;
  /** In this order. */
  readonly migrations: readonly PlannedMigration[];
  /** What is gone afterwards. */
  readonly losses: readonly Loss[];
  /** To the functions, procedures, triggers and views that are there. */
  readonly differences: readonly LiveDifference[];
  /** Whether a backup is made first. */
  readonly needsBackup: boolean;
  readonly warnings: readonly string[];
}

export interface MigrationRunOptions extends OperationOptions, Extent {
  /** How long one attempt waits for a lock, in milliseconds; else what the settings say. */
  readonly lockTimeoutMs?: number | undefined;
  /** How long it tries to get the locks of one migration, in milliseconds; else what the settings say. */
  readonly lockBudgetMs?: number | undefined;
  /** What a statement counts as of which nobody can tell whether a killed run has finished it; refused by default. */
  readonly unknownStatement?: 'done' | 'again' | undefined;
  /** Where the schema is written afterwards, relative to the workspace; `false`: nowhere; else what the settings say. */
  readonly schemaFile?: string | false | undefined;
  /** Told what will be done, before anybody is asked and anything happens. */
  readonly onPlan?: (plan: MigrationPlan) => void;
}

export interface MigrationRun {
  readonly database: string;
  readonly isDryRun: boolean;
  readonly plan: MigrationPlan;
  /** What was done, in this order. */
  readonly ran: readonly RanMigration[];
  /** How many are pending now. */
  readonly pending: number;
  readonly durationMs: number;
  /** Where the schema was written; `null`: nowhere. */
  readonly schemaFile: SchemaSnapshot | null;
  /** Made before anything was rolled back; `null`: none was needed. */
  readonly safetyBackup: string | null;
  /** The command that leads back to before. */
  readonly undo: string | null;
  readonly warnings: readonly string[];
}

export interface RunPolicy {
  /** @throws ManageDbError to refuse */
  readonly choose: (situation: Situation) => readonly MigrationStep[];
  /** What else has to be there. @throws ManageDbError to refuse */
  readonly demand?: (target: Target, situation: Situation, steps: readonly CheckedStep[]) => Promise<void>;
  /** Told whenever another runner has changed the records. @throws ManageDbError to refuse */
  readonly judge?: (situation: Situation) => void;
}

interface Prepared {
  readonly situation: Situation;
  readonly steps: readonly CheckedStep[];
  readonly plan: MigrationPlan;
}

/**
 * One call of an operation that runs migrations: plans before anybody is asked, shows it, and does what was shown. Who is
 * asked for consent has seen the plan, and so has who gives it beforehand by the time something happens.
 */
export class PlannedRun {
  private target: Target | null = null;
  private shown: MigrationPlan | null = null;
  private hasAgreed = false;

  constructor(
    private readonly options: MigrationRunOptions,
    private readonly policy: RunPolicy,
  ) {}

  /** For the gate. */
  get gateOptions(): MigrationRunOptions {
    const { ask, onTarget } = this.options;
    const gate: MigrationRunOptions = {
      ...this.options,
      onTarget: (found) => {
        this.target = found;
        onTarget?.(found);
      },
    };
    if (ask === undefined) return gate;
    return {
      ...gate,
      ask: async (question, signal) => {
        if (this.target !== null) await this.prepare(this.target);
        const answer = await ask(question, signal);
        this.hasAgreed = answer !== null;
        return answer;
      },
    };
  }

  /** Behind the gate. */
  async run(operation: OperationName, target: Target): Promise<MigrationRun> {
    const { options } = this;
    const prepared = await this.prepare(target);
    const isDryRun = options.dryRun === true;
    if (isDryRun || prepared.steps.length === 0) return outcome(prepared, { isDryRun });
    if (!this.hasAgreed) await agreeToLosses(operation, options, prepared.plan);
    await stamp(target, options);
    return carryOut(target, options, this.policy, prepared);
  }

  private async prepare(target: Target): Promise<Prepared> {
    const prepared = await prepare(target, this.options, { policy: this.policy, shown: this.shown });
    if (this.shown === null) this.options.onPlan?.(prepared.plan);
    else refuseOther(this.shown, prepared.plan);
    this.shown = prepared.plan;
    return prepared;
  }
}

async function prepare(
  target: Target,
  options: MigrationRunOptions,
  { policy, shown }: { readonly policy: RunPolicy; readonly shown: MigrationPlan | null },
): Promise<Prepared> {
  const { signal } = options;
  const situation = await readSituation(target, signal);
  const schemaFile = options.schemaFile ?? situation.rules.schemaFile;
  if (typeof schemaFile === 'string') checkSchemaFile(schemaFile, await getWorkspace());
  const steps = await checkSteps(policy.choose(situation));
  if (steps.length === 0) return { situation, steps, plan: { ...NOTHING, database: target.database } };
  await policy.demand?.(target, situation, steps);
  // what was counted for the question is not counted again
  if (shown !== null && essenceOf(planned(steps, situation.statuses)) === essenceOf(shown.migrations))
    return { situation, steps, plan: shown };
  const ups = steps.filter(({ direction }) => direction === 'up');
  const { losses, needsBackup } = await planLosses(target, steps, { signal });
  const live = ups.length === 0 ? NO_DIFFERENCES : await readLiveDifferences(target, ups, { signal });
  refuseUnsafe(live.unsafe, { isAllowed: isUnsafeAllowed(situation.rules.allowUnsafe) });
  return {
    situation,
    steps,
    plan: {
      database: target.database,
      migrations: planned(steps, situation.statuses),
      losses,
      differences: live.differences,
      needsBackup: needsBackup && ups.length < steps.length,
      warnings: [
        ...live.unread.map(
          (file) => `${basename(file)} is only understood by the server: what it replaces and loses is not foreseen.`,
        ),
        ...undecidedWarnings(ups),
      ],
    },
  };
}

const NO_DIFFERENCES = { differences: [], unsafe: [], unread: [] } as const;
const NOTHING = { migrations: [], losses: [], differences: [], needsBackup: false, warnings: [] } as const;

function undecidedWarnings(ups: readonly CheckedStep[]): string[] {
  return ups.flatMap(({ migration: { path, down }, part }) => {
    const file = basename(path);
    const isDownUndecided = down !== null && undecidedLines(down) > 0;
    return [
      ...(undecidedLines(part) > 0
        ? [`${file} has lines that nobody has decided on (--!): they are not executed.`]
        : []),
      ...(isDownUndecided
        ? [
            `The way down of ${file} has lines that nobody has decided on (--!): once applied, it cannot be rolled back.`,
          ]
        : []),
    ];
  });
}

function essenceOf(migrations: readonly PlannedMigration[]): string {
  return JSON.stringify(migrations.map(({ version, direction, checksum }) => [version, direction, checksum]));
}

/** An empty database that is given its tables is known from then on, as by initialize-db. */
async function stamp(target: Target, { signal }: MigrationRunOptions): Promise<void> {
  if (target.stamp?.wasEmpty !== true) return;
  await withConnection(target.settings, { signal }, async (db) => {
    await ensureSchema(db);
    await stampIfNew(db, target);
  });
}

/** What somebody has agreed to must be what is done. */
function refuseOther(shown: MigrationPlan, now: MigrationPlan): void {
  if (essenceOf(shown.migrations) === essenceOf(now.migrations)) return;
  throw new ManageDbError(
    'DATABASE_IN_USE',
    'Another runner has been here since the plan was shown. Nothing was changed.',
    {
      hint: 'Look at the new plan, and run it again.',
    },
  );
}

/** Going down, what is lost is agreed to, also where nothing else is asked. */
async function agreeToLosses(
  operation: OperationName,
  options: MigrationRunOptions,
  plan: MigrationPlan,
): Promise<void> {
  const { consent, ask, signal } = options;
  const goesDown = plan.migrations.some(({ direction }) => direction === 'down');
  const lost = plan.losses.filter(({ kind, rows }) => kind === 'unforeseen' || rows === null || rows > 0);
  if (!goesDown || lost.length === 0 || plan.needsBackup || consent?.yes === true || consent?.confirm !== undefined)
    return;
  const summary = `${operation} ${lost.map(({ sentence }) => sentence).join('; ')}.`;
  const answer = await ask?.({ operation, kind: 'yes', text: '', summary, asksReason: false }, signal);
  if (answer?.yes === true) return;
  throw new ManageDbError('CONFIRMATION_REQUIRED', `${summary} Nothing was changed.`, {
    hint: 'Add --yes to agree to that, or look first: --dry-run',
    details: { losses: lost },
  });
}

async function carryOut(
  target: Target,
  options: MigrationRunOptions,
  policy: RunPolicy,
  prepared: Prepared,
): Promise<MigrationRun> {
  const started = performance.now();
  const { signal, onProgress } = options;
  const controls = { ...(signal === undefined ? {} : { signal }), ...(onProgress === undefined ? {} : { onProgress }) };
  const run = (onCommitted?: () => void) =>
    runSteps(target.settings, prepared.steps, runOptions(options, policy, prepared, onCommitted));
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
    warnings: [...done.warnings, ...snapshot.warnings],
  });
}

const NO_SNAPSHOT: Pick<MigrationRun, 'schemaFile' | 'warnings'> = { schemaFile: null, warnings: [] };

/** What was applied stays applied, whether or not it can be written down. */
async function snapshotOf(
  target: Target,
  options: MigrationRunOptions,
  { situation }: Prepared,
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
  { situation, steps }: Prepared,
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

function outcome(
  { situation, steps, plan }: Prepared,
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
