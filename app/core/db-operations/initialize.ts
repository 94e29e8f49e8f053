import { escapeIdentifier } from 'pg';
import { getWorkspace } from '../../config/workspace.js';
import { readUserObjects } from '../../database/catalog/user-objects.js';
import { ensureSchema } from '../../database/schema/ensure-schema.js';
import { errorCodeOf } from '../../services/database-errors.js';
import { withConnection, withMaintenanceConnection } from '../../services/with-connection.js';
import { codeOf, errorWith, ManageDbError, messageOf } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { stampIfNew } from '../safety/write-stamp.js';
import type { ApplyTriggersResult } from '../triggers/apply.js';
import { applyPolicy } from './migration/apply-policy.js';
import { readMigrations } from './migration/migration-files.js';
import { PlannedRun } from './migration/run-planned.js';
import type { RanMigration } from './migration/runner.js';
import { applySeed, type SeedResult } from './migration/seed.js';
import { readPacks } from './trigger-work/packs.js';
import { applyTriggersTo } from './triggers.js';

export interface InitializeOptions extends OperationOptions {
  /** Also execute the workspace's seed files. */
  readonly seed?: boolean | undefined;
}

export interface InitializeResult {
  readonly database: string;
  readonly databaseCreated: boolean;
  /** Whether it was given its stamp now; otherwise it has had one. */
  readonly stamped: boolean;
  /** `null` when the workspace has no such folder. */
  readonly migrationsFolder: string | null;
  /** Applied now, in this order. */
  readonly migrations: readonly RanMigration[];
  /** How many were in place already. */
  readonly migrationsBefore: number;
  /** Of all packs that the workspace uses, as `apply-db-triggers` applies them. */
  readonly triggers: ApplyTriggersResult;
  /** `null` when it was not asked for, or the workspace has no seed folder. */
  readonly seed: SeedResult | null;
}

/**
 * Makes a database ready for the application: creates it when it is missing, brings manage_db's own schema up to date,
 * stamps it, applies pending migrations, installs the declared triggers of all packs, and loads the seed data when asked to. Every step is skipped
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
  const files = await readMigrations(migrationsDir);
  await readPacks();
  const databaseCreated = target.exists ? false : await createDatabase(target);
  try {
    const { signal } = options;
    const stamped = await withConnection(target.settings, { signal }, async (client) => {
      await ensureSchema(client);
      return stampIfNew(client, target);
    });
    const migrations = files === null ? [] : await applyPending(target, options, !databaseCreated);
    const triggers = await applyTriggersTo(target, options);
    const seed = options.seed
      ? await withConnection(target.settings, { signal, searchPath: 'application' }, (client) =>
          applySeed(client, seedDir, options),
        )
      : null;
    return {
      database: target.database,
      databaseCreated,
      stamped,
      migrationsFolder: files === null ? null : migrationsDir,
      migrations,
      migrationsBefore: (files?.length ?? 0) - migrations.length,
      triggers,
      seed,
    };
  } catch (error) {
    // a run of migrations says itself what it has and has not done
    const isSaid = error instanceof ManageDbError && 'applied' in error.details;
    if (!options.signal?.aborted || isSaid) throw error;
    throw new ManageDbError(
      'INTERRUPTED',
      `Interrupted. Migrations of ${target.database} that were finished stay applied and recorded.`,
      { hint: 'Run it again: it goes on where it stopped.', cause: error },
    );
  }
}

/** By the same rules as everywhere; only where there is nothing yet, nothing has to be rehearsed. */
async function applyPending(
  target: Target,
  { signal, onProgress }: InitializeOptions,
  wasThere: boolean,
): Promise<readonly RanMigration[]> {
  const controls = { ...(signal === undefined ? {} : { signal }), ...(onProgress === undefined ? {} : { onProgress }) };
  const isDemanding = wasThere && (await withConnection(target.settings, controls, readUserObjects)).length > 0;
  const run = new PlannedRun(controls, applyPolicy({}, isDemanding));
  // nothing goes down in it, where something could be lost
  const { ran } = await run.run('initialize-db', target, { isAgreed: false });
  return ran;
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
