import { basename } from 'node:path';
import type { Queryable } from '../../../database/queryable.js';
import { readObservation } from '../../../database/records/observation.js';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { inTransaction } from '../../../services/in-transaction.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { compareVersions, versionKey } from '../../migration-versions.js';
import { nextCommand } from '../../next-command.js';
import type { OperationOptions, Target } from '../../safety/gate.js';
import { takeAdvisoryLock } from '../advisory-lock.js';
import { readDbmateVersions } from './dbmate-versions.js';
import { readHistory } from './history.js';
import { refuseUnfinished } from './journal.js';
import type { Migration } from './migration-files.js';
import { recordBaselines } from './record-baselines.js';
import { judgeMigrations, type MigrationStatus } from './states.js';

/** What says which migrations a database has already. */
export type BaselineChoice =
  | { readonly kind: 'to'; readonly version: string }
  | { readonly kind: 'all' }
  | { readonly kind: 'dbmate'; readonly table: string };

export interface BaselineResult {
  /** By version; in a dry run, what would be recorded. */
  readonly recorded: readonly { readonly version: string; readonly name: string }[];
  /** How many of those that were asked for were recorded before. */
  readonly already: number;
  /** Versions of dbmate's table that no file has; they are not recorded. */
  readonly withoutFile: readonly string[];
  readonly isDryRun: boolean;
}

export interface Baseline {
  readonly files: readonly Migration[];
  readonly choice: BaselineChoice;
}

/** As long as a deployment may take that is applying migrations at this moment. */
const LOCK_WAIT_MS = 60_000;

/** Records what `choice` means, in one transaction, while no runner is at work. In a dry run only says what that would be. */
export function recordBaseline(
  target: Target,
  baseline: Baseline,
  { dryRun = false, signal }: Pick<OperationOptions, 'dryRun' | 'signal'>,
): Promise<BaselineResult> {
  return withConnection(target.settings, { signal }, async (client) => {
    const plan = dryRun
      ? await planBaseline(client, target, baseline)
      : await inTransaction(client, async () => {
          await ensureSchema(client);
          await takeAdvisoryLock(client, 'migrations', { timeoutMs: LOCK_WAIT_MS, signal });
          const due = await planBaseline(client, target, baseline);
          await recordBaselines(client, due.migrations);
          return due;
        });
    const { migrations, already, withoutFile } = plan;
    const recorded = migrations.map(({ version, name }) => ({ version, name }));
    return { recorded, already, withoutFile, isDryRun: dryRun };
  });
}

interface BaselinePlan extends Pick<BaselineResult, 'already' | 'withoutFile'> {
  readonly migrations: readonly Migration[];
}

async function planBaseline(db: Queryable, target: Target, { files, choice }: Baseline): Promise<BaselinePlan> {
  if ((await readObservation(db)).isEmpty) throw nothingThere(target);
  const { isChosen, withoutFile } = await chosenBy(db, files, choice);
  const history = await readHistory(db);
  const states = judgeMigrations(files, history).filter(({ migration }) => migration !== null && isChosen(migration));
  refuseEdited(states, target);
  const due = states.filter(({ record }) => record === null);
  const dueKeys = new Set(due.map(({ version }) => versionKey(version)));
  // half of it is in the database, and only its journal knows which half
  const begun = history.journal.filter(({ version }) => dueKeys.has(versionKey(version)));
  refuseUnfinished(begun, undefined, { environment: target.environment, unchanged: 'Nothing was recorded.' });
  return {
    migrations: due.flatMap(({ migration }) => migration ?? []),
    already: states.length - due.length,
    withoutFile,
  };
}

interface Chosen {
  readonly isChosen: (migration: Migration) => boolean;
  readonly withoutFile: readonly string[];
}

async function chosenBy(db: Queryable, files: readonly Migration[], choice: BaselineChoice): Promise<Chosen> {
  if (choice.kind === 'all') return { isChosen: () => true, withoutFile: [] };
  if (choice.kind === 'to') {
    const { version } = choice;
    if (!files.some((file) => compareVersions(file.version, version) === 0)) throw noSuchVersion(files, version);
    return { isChosen: (file) => compareVersions(file.version, version) <= 0, withoutFile: [] };
  }
  const versions = await readDbmateVersions(db, choice.table);
  const recorded = new Set(versions.map(versionKey));
  const ofFiles = new Set(files.map(({ version }) => versionKey(version)));
  return {
    isChosen: ({ version }) => recorded.has(versionKey(version)),
    withoutFile: versions.filter((version) => !ofFiles.has(versionKey(version))),
  };
}

function refuseEdited(states: readonly MigrationStatus[], { database }: Target): void {
  const edited = states.filter(({ state }) => state === 'edited');
  if (edited.length === 0) return;
  throw new ManageDbError(
    'MIGRATION_EDITED',
    `Recorded in ${database} with another text than the file has now: ${namesOf(edited)}. Nothing was recorded.`,
    {
      hint: 'Put the file back as it was (git checkout), and make the change a new migration.',
      details: { versions: edited.map(({ version }) => version) },
    },
  );
}

function namesOf(states: readonly MigrationStatus[]): string {
  return states.map(({ migration, version }) => (migration === null ? version : basename(migration.path))).join(', ');
}

function nothingThere({ database, environment }: Target): ManageDbError {
  return new ManageDbError(
    'NOT_FOUND',
    `${database} is empty: it has nothing that a migration could have made. Nothing was recorded.`,
    { hint: `Let the migrations make it: manage_db initialize-db --env ${environment}` },
  );
}

function noSuchVersion(files: readonly Migration[], version: string): ManageDbError {
  const before = files.filter((file) => compareVersions(file.version, version) < 0).at(-1);
  return new ManageDbError('NOT_FOUND', `No migration has the version ${version}. Nothing was recorded.`, {
    hint:
      before === undefined
        ? `${nextCommand('show-all-migrations')} lists them.`
        : `The last one before it is ${before.version} (${basename(before.path)}).`,
    details: { version },
  });
}
