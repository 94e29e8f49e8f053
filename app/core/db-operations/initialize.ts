import { escapeIdentifier } from 'pg';
import { getWorkspace } from '../../config/workspace.js';
import { ensureSchema } from '../../database/schema/ensure-schema.js';
import { errorCodeOf } from '../../services/database-errors.js';
import { withConnection, withMaintenanceConnection } from '../../services/with-connection.js';
import { codeOf, errorWith, ManageDbError, messageOf } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { stampIfNew } from '../safety/write-stamp.js';
import type { ApplyTriggersResult } from '../triggers/apply.js';
import { type AppliedMigration, applyMigrations } from './migration/apply-migrations.js';
import { readMigrations } from './migration/migration-files.js';
import { applySeed, type SeedResult } from './migration/seed.js';
import { applyTriggersTo } from './triggers.js';

export interface InitializeOptions extends OperationOptions {
  /** Also execute the workspace's seed files. */
  readonly seed?: boolean | undefined;
}

export interface InitializeResult {
  readonly database: string;
  readonly databaseCreated: boolean;
  /** `null` when the workspace has no such folder. */
  readonly migrationsFolder: string | null;
  /** Applied now, in this order. */
  readonly migrations: readonly AppliedMigration[];
  /** How many were in place already. */
  readonly migrationsBefore: number;
  readonly triggers: ApplyTriggersResult;
  /** `null` when it was not asked for, or the workspace has no seed folder. */
  readonly seed: SeedResult | null;
}

/**
 * Makes a database ready for the application: creates it when it is missing, brings manage_db's own schema up to date,
 * applies pending migrations, installs the base triggers, and loads the seed data when asked to. Every step is skipped
 * where it is done, so it may be run at any time, by many at once.
 *
 * @throws ManageDbError `SQL_FAILED` with file, line and column, `MIGRATION_EDITED`, `PERMISSION_DENIED`, `LOCK_TIMEOUT`, `INTERRUPTED`,
 *   `SCHEMA_TOO_NEW`, and what the gate and connecting throw
 * @example const { migrations } = await initDb({ env: 'development', seed: true });
 */
export function initDb(options: InitializeOptions = {}): Promise<InitializeResult> {
  return guarded('initialize-db', options, (target) => initializeDatabase(target, options));
}

/** The work of {@link initDb}, for operations that have passed the gate themselves. */
export async function initializeDatabase(target: Target, options: InitializeOptions): Promise<InitializeResult> {
  const { migrationsDir, seedDir } = await getWorkspace();
  // read before anything is changed: a file that is wrong must not leave an empty database behind
  const files = readMigrations(migrationsDir);
  const databaseCreated = target.exists ? false : await createDatabase(target);
  try {
    const { signal } = options;
    await withConnection(target.settings, { signal }, async (client) => {
      await ensureSchema(client);
      await stampIfNew(client, target);
    });
    return await withConnection(target.settings, { signal, searchPath: 'application' }, async (client) => {
      const migrations = await applyMigrations(client, files ?? [], options);
      const triggers = await applyTriggersTo(target, { ...options, pack: 'base' });
      const seed = options.seed ? await applySeed(client, seedDir, options) : null;
      return {
        database: target.database,
        databaseCreated,
        migrationsFolder: files === null ? null : migrationsDir,
        migrations,
        migrationsBefore: (files?.length ?? 0) - migrations.length,
        triggers,
        seed,
      };
    });
  } catch (error) {
    if (!options.signal?.aborted) throw error;
    throw new ManageDbError(
      'INTERRUPTED',
      `Interrupted. Migrations of ${target.database} that were finished stay applied and recorded; the one at work was rolled back.`,
      { hint: 'Run it again: it goes on where it stopped.', cause: error },
    );
  }
}

/** `false` when another process was faster. */
async function createDatabase(target: Target): Promise<boolean> {
  try {
    await withMaintenanceConnection(target.settings, (server) =>
      server.query(`create database ${escapeIdentifier(target.database)}`),
    );
    return true;
  } catch (error) {
    if (error instanceof ManageDbError) throw error;
    // 42P04: it exists; 23505: two were creating it in the same moment
    if (['42P04', '23505'].includes(codeOf(error) ?? '')) return false;
    throw errorWith(
      errorCodeOf(codeOf(error)),
      `The database ${target.database} could not be created: ${messageOf(error)}.`,
      {
        hint: `Let somebody who may run: create database ${escapeIdentifier(target.database)} owner ${escapeIdentifier(target.user)};`,
        cause: error,
      },
    );
  }
}
