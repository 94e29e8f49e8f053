import { getConfig } from '../../config/db-config.js';
import { redact } from '../../config/redaction.js';
import { embeddedServerStatus } from '../../services/embedded-postgres.js';
import { withMaintenanceConnection } from '../../services/with-connection.js';
import { currentEnv } from '../environment.js';
import { normalizeEnv } from '../environment-names.js';
import { ManageDbError, messageOf } from '../errors.js';
import { stopIfAborted } from '../progress.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { workspaceRoot } from '../workspace-root.js';
import { withRepository } from './backup/repository/open-repository.js';
import type { BackupRepository } from './backup/repository/repository.js';
import type { BackupSummary } from './backup/repository/summary.js';
import { type RetentionRules, retain } from './backup/retention.js';
import { explained } from './failure.js';
import { dropOverduePrevious } from './restore/overdue.js';
import { listPrevious, type PreviousDatabase } from './restore/previous-database.js';
import { lockRestoreOf } from './scratch/scratch-database.js';
import { listPreviousDatabases } from './undo-restore.js';

export type { RetentionRules } from './backup/retention.js';

export interface PlanPruningOptions extends RetentionRules {
  readonly env?: string;
  /** Every environment that has backups, instead of one. */
  readonly all?: boolean | undefined;
  /** In a storage instead of the workspace: `s3://bucket/prefix`, or a folder. */
  readonly storage?: string | undefined;
}

export interface PlannedBackup extends BackupSummary {
  /** Why it is kept, or that no rule keeps it. */
  readonly reasons: readonly string[];
}

/** Databases that restores have put aside, and whose time is over. */
export interface OverdueDatabases {
  readonly databases: readonly PreviousDatabase[];
  /** Why they could not be asked for, or dropped; `null`: they could. */
  readonly unknown: string | null;
}

/** What becomes of the backups of one environment; the newest first. */
export interface PlannedPruning {
  readonly environment: string;
  readonly kept: readonly PlannedBackup[];
  readonly removed: readonly PlannedBackup[];
  readonly removedBytes: number;
  readonly overdue: OverdueDatabases;
}

export interface PruneBackupsOptions extends OperationOptions, RetentionRules {
  /** Every environment that has backups, each by a passage of its own through the gate. */
  readonly all?: boolean | undefined;
  /** In a storage instead of the workspace: `s3://bucket/prefix`, or a folder. */
  readonly storage?: string | undefined;
}

export interface PrunedEnvironment extends PlannedPruning {
  /** What killed processes had left, and what is gone as well. */
  readonly swept: readonly string[];
  /** Of the overdue ones; the others have logged what nobody else knows, or may not be dropped by this login. */
  readonly droppedDatabases: readonly string[];
}

export interface PruneBackupsResult {
  readonly environments: readonly PrunedEnvironment[];
  /** With `all`: the environments whose backups were left alone, and why. */
  readonly refused: readonly { readonly environment: string; readonly error: ManageDbError }[];
}

/**
 * Says which backups {@link pruneBackups} would remove, which ones it would keep, and why; and which previous databases have
 * had their time, where the server answers. Changes nothing.
 *
 * @throws ManageDbError `USAGE` without a rule, `UNKNOWN_ENVIRONMENT`, `UNREADABLE_FILE`
 * @example const [{ removed }] = await planPruning({ env: 'production', keepLast: 3, keepMonthly: 12 });
 */
export async function planPruning(options: PlanPruningOptions): Promise<PlannedPruning[]> {
  const rules = checkedRules(options);
  return withRepository({ storage: options.storage, environment: options.env }, async (repository) => {
    const environments = options.all ? await environmentsWithBackups(repository) : [chosenEnvironment(options)];
    return Promise.all(
      environments.map(async (environment) => ({
        ...(await plan(repository, environment, rules)),
        overdue: await overdueOf(environment),
      })),
    );
  });
}

/**
 * Removes the backups that no rule keeps. Never the newest one of an environment, nor the newest that is verified, nor
 * one that is damaged or being made. A backup that is removed is gone as a whole or is no backup any more, whenever
 * somebody pulls the plug. Drops the previous databases of the environment whose time is over, as the next restore would.
 *
 * @throws ManageDbError `USAGE` without a rule, `UNREADABLE_FILE`, `INTERRUPTED`, and what the gate and
 *   connecting throw
 * @example await pruneBackups({ env: 'staging', keepLast: 3, keepDaily: 14, consent: { yes: true } });
 */
export async function pruneBackups(options: PruneBackupsOptions): Promise<PruneBackupsResult> {
  const rules = checkedRules(options);
  if (options.all) return pruneEach(options);
  return guarded('prune-backups', options, async (target) => ({
    environments: [{ ...(await prune(target.environment, rules, options)), ...(await dropOverdue(target)) }],
    refused: [],
  }));
}

/** What one environment refuses is no reason to leave the others as they are, and none to be silent about it. */
async function pruneEach({ env: _env, all: _all, ...options }: PruneBackupsOptions): Promise<PruneBackupsResult> {
  // one typed text must not open several protected environments whose databases have the same name
  const { confirm: _confirm, ...consent } = options.consent ?? {};
  const { storage } = options;
  const environments: PrunedEnvironment[] = [];
  const refused: { environment: string; error: ManageDbError }[] = [];
  for (const env of await withRepository({ storage }, environmentsWithBackups)) {
    try {
      environments.push(...(await pruneBackups({ ...options, consent, env })).environments);
    } catch (error) {
      if (!(error instanceof ManageDbError) || error.code === 'INTERRUPTED') throw error;
      refused.push({ environment: env, error });
    }
  }
  return { environments, refused };
}

type Pruned = Omit<PrunedEnvironment, 'overdue' | 'droppedDatabases'>;

function prune(
  environment: string,
  rules: RetentionRules,
  { storage, ...options }: PruneBackupsOptions,
): Promise<Pruned> {
  return withRepository({ storage, environment }, (repository) => pruneIn(repository, environment, rules, options));
}

async function pruneIn(
  repository: BackupRepository,
  environment: string,
  rules: RetentionRules,
  options: OperationOptions,
): Promise<Pruned> {
  const { onProgress, signal } = options;
  const removed: PlannedBackup[] = [];
  let current: PlannedBackup | null = null;
  try {
    const swept = await repository.sweep(environment, options);
    const planned = await plan(repository, environment, rules);
    for (const [index, backup] of planned.removed.entries()) {
      stopIfAborted(signal);
      onProgress?.({ step: `removing ${backup.id}`, done: index, total: planned.removed.length, isDetail: true });
      current = backup;
      if (await repository.remove(backup)) removed.push(backup);
      current = null;
    }
    return { ...planned, removed, removedBytes: bytesOf(removed), swept };
  } catch (error) {
    const gone = removed.length === 0 ? 'No other backup was removed.' : `Removed before: ${idsOf(removed)}.`;
    if (current !== null && !(await isComplete(repository, current)))
      throw explained(error, `${current.id} is no backup any more: the rest of it is left. ${gone}`, signal);
    throw explained(error, gone.replace(' other', ''), signal);
  }
}

/** Also where nobody can tell. */
async function isComplete(repository: BackupRepository, { id, environment }: PlannedBackup): Promise<boolean> {
  const backups = await repository.backupsOf(environment).catch(() => null);
  return backups === null || backups.some((backup) => backup.id === id && backup.state === 'complete');
}

async function overdueOf(env: string): Promise<OverdueDatabases> {
  try {
    const { connection } = await getConfig(env);
    // looking is no reason to start a server
    const isAsleep = connection.server === 'embedded' && !(await embeddedServerStatus(workspaceRoot())).running;
    if (isAsleep) return { databases: [], unknown: 'the embedded server does not run' };
    const { previousDatabases } = await listPreviousDatabases({ env });
    return {
      databases: previousDatabases.filter((previous) => previous.isOver && previous.database === connection.database),
      unknown: null,
    };
  } catch (error) {
    return { databases: [], unknown: redact(messageOf(error)) };
  }
}

/** The backups are pruned by then: what cannot be dropped is said, and is no failure. */
async function dropOverdue({ settings }: Target): Promise<Pick<PrunedEnvironment, 'overdue' | 'droppedDatabases'>> {
  let databases: readonly PreviousDatabase[] = [];
  try {
    return await withMaintenanceConnection(settings, async (maintenance) => {
      databases = (await listPrevious(maintenance)).filter(
        (previous) => previous.isOver && previous.database === settings.database,
      );
      if (databases.length === 0) return { overdue: { databases, unknown: null }, droppedDatabases: [] };
      await lockRestoreOf(maintenance, settings.database);
      const droppedDatabases = await dropOverduePrevious(maintenance, settings);
      return { overdue: { databases, unknown: null }, droppedDatabases };
    });
  } catch (error) {
    return { overdue: { databases, unknown: redact(messageOf(error)) }, droppedDatabases: [] };
  }
}

async function plan(
  repository: BackupRepository,
  environment: string,
  rules: RetentionRules,
): Promise<Omit<PlannedPruning, 'overdue'>> {
  const retained = retain(await repository.backupsOf(environment), rules);
  const those = (isKept: boolean): PlannedBackup[] =>
    retained.filter((one) => one.isKept === isKept).map(({ backup, reasons }) => ({ ...backup, reasons }));
  const removed = those(false);
  return { environment, kept: those(true), removed, removedBytes: bytesOf(removed) };
}

const RULES = {
  keepLast: '--keep-last',
  keepDaily: '--keep-daily',
  keepWeekly: '--keep-weekly',
  keepMonthly: '--keep-monthly',
} as const;

/** @throws ManageDbError `USAGE`: without a rule nothing would be kept but what always is, and nobody means that */
function checkedRules(options: PlanPruningOptions): RetentionRules {
  const hint = 'For instance: manage_db prune-backups --keep-last 3 --keep-daily 14 --keep-monthly 12';
  if (options.all && options.env !== undefined) {
    throw new ManageDbError('USAGE', 'Either one environment (--env) or all of them (--all).', { hint });
  }
  const names = Object.keys(RULES) as (keyof typeof RULES)[];
  const given = names.filter((name) => options[name] !== undefined);
  if (given.length === 0) {
    throw new ManageDbError('USAGE', 'Pruning needs to be told what to keep; nothing was removed.', { hint });
  }
  for (const name of given) {
    const count = options[name];
    if (Number.isSafeInteger(count) && Number(count) >= 1) continue;
    throw new ManageDbError('USAGE', `${RULES[name]} takes a whole number from 1, not ${count}.`, { hint });
  }
  return Object.fromEntries(given.map((name) => [name, options[name]]));
}

function chosenEnvironment({ env }: PlanPruningOptions): string {
  return normalizeEnv(env ?? currentEnv());
}

/** Folders with other names are nobody's environment. */
async function environmentsWithBackups(repository: BackupRepository): Promise<string[]> {
  const names = await repository.environments();
  return names.filter((name) => /^[a-z][a-z0-9_-]{0,47}$/.test(name)).sort();
}

function bytesOf(backups: readonly BackupSummary[]): number {
  return backups.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function idsOf(backups: readonly BackupSummary[]): string {
  return backups.map(({ id }) => id).join(', ');
}
