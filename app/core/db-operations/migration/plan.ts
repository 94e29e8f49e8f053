import type { MigrationSettings } from '../../../config/migration-settings.js';
import { readMigrationSettings } from '../../../config/resolve-migrations.js';
import { getWorkspace } from '../../../config/workspace.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';
import type { CheckedStep } from './check-steps.js';
import { type History, readHistory } from './history.js';
import { type Migration, readMigrations } from './migration-files.js';
import { judgeMigrations, type MigrationStatus } from './states.js';

/** What is known before anything is planned. */
export interface Situation {
  readonly files: readonly Migration[];
  readonly history: History;
  readonly statuses: readonly MigrationStatus[];
  readonly rules: MigrationSettings;
}

/** One migration of a plan. */
export interface PlannedMigration {
  readonly version: string;
  readonly name: string;
  readonly direction: 'up' | 'down';
  /** Of the file. */
  readonly checksum: string;
  /** Absolute. */
  readonly file: string;
  /** `false`: statement by statement, each committed by itself. */
  readonly isTransactional: boolean;
  /** Of one that was begun before, how many statements are done. */
  readonly statementsDone: number | null;
}

/**
 * The files, and what has become of them in `target`.
 *
 * @throws ManageDbError `NOT_FOUND` without a folder; those of reading files and settings
 */
export async function readSituation(target: Target, signal: AbortSignal | undefined): Promise<Situation> {
  const { migrationsDir } = await getWorkspace();
  const files = await readMigrations(migrationsDir);
  if (files === null) {
    throw new ManageDbError('NOT_FOUND', `There is no folder ${migrationsDir}.`, {
      hint: 'Make a first migration: manage_db create-db-migration first_tables',
    });
  }
  const rules = await readMigrationSettings(target.environment);
  const history = await withConnection(target.settings, { signal }, readHistory);
  return { files, history, statuses: judgeMigrations(files, history), rules };
}

/** The steps as they are shown; every file is read by the parser first. */
export function planned(
  steps: readonly CheckedStep[],
  statuses: readonly MigrationStatus[],
): readonly PlannedMigration[] {
  const byVersion = new Map(statuses.map((status) => [status.version, status]));
  return steps.map(({ migration, direction, how }) => ({
    version: migration.version,
    name: migration.name,
    direction,
    checksum: migration.checksum,
    file: migration.path,
    isTransactional: how === 'transaction',
    statementsDone: byVersion.get(migration.version)?.statementsDone ?? null,
  }));
}
