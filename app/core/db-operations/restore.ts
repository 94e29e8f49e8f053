import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { describeConfig } from '../../config/db-config.js';
import { getWorkspace } from '../../config/workspace.js';
import type { Queryable } from '../../database/queryable.js';
import { grantAccess } from '../../database/records/access-roles.js';
import { readStamp, type Stamp } from '../../database/records/identity.js';
import { readObservation } from '../../database/records/observation.js';
import { ensureSchema } from '../../database/schema/ensure-schema.js';
import { closeEngines } from '../../services/database-service.js';
import { withConnection, withMaintenanceConnection } from '../../services/with-connection.js';
import { normalizeEnv } from '../environment.js';
import { ManageDbError } from '../errors.js';
import type { OperationControls } from '../progress.js';
import { carryKillSwitch, carryRecords, forgetRecords } from '../safety/carry-records.js';
import { guarded, type OperationOptions, type Permit, type Target } from '../safety/gate.js';
import { carryLateEntries } from '../safety/operation-log/carry-over.js';
import { stampRestored } from '../safety/write-stamp.js';
import { verifyFiles } from './backup/backup-files.js';
import { findBackup } from './backup/backup-list.js';
import { propertyStatements, readDatabaseProperties } from './backup/database-properties.js';
import { fillScratch } from './backup/fill-scratch.js';
import type { Manifest, TableRows } from './backup/manifest.js';
import {
  createScratchDatabase,
  dropAbandonedScratchDatabases,
  dropDatabase,
  lockRestoreOf,
} from './backup/scratch-database.js';
import { refuseIfInUse } from './backup/sessions.js';
import { previousName, renameDatabase, swapDatabases } from './backup/swap.js';
import { refuseIfNotSwappable } from './backup/swap-preconditions.js';
import { explained, stopIfAborted } from './failure.js';
import { restoreInTransaction } from './restore/in-transaction.js';

export interface RestoreOptions extends OperationOptions {
  /** A backup's id, the beginning of exactly one, or `latest`. */
  readonly id: string;
  /** The environment that the backup is of, where it is not the target. */
  readonly fromEnvironment?: string | undefined;
  /** Ends the sessions of the target's users at the moment of the swap; without it a target in use is refused. */
  readonly disconnectUsers?: boolean | undefined;
  /** Keeps the replaced database beside the new one; by default on protected environments. */
  readonly keepPrevious?: boolean | undefined;
  readonly method?: 'swap' | 'transaction' | undefined;
}

export interface RestoreResult {
  readonly database: string;
  /** What the replaced database is called now; `null` when there was none or it was dropped. */
  readonly previousDatabase: string | null;
  readonly strategy: 'swap' | 'transaction';
  readonly durationMs: number;
  readonly tables: readonly TableRows[];
}

/** Milliseconds that our own sessions get to end; one that is kept open is then named like any other. */
const OWN_SESSIONS_MS = 2000;

/**
 * Restores a backup into a scratch database, compares it with the manifest, and puts it in the place of the live one
 * by renaming. Until that moment the live database is untouched, whatever fails.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`, `BACKUP_INVALID`, `DATABASE_IN_USE`, `CLIENT_TOOLS_MISSING`,
 *   `CLIENT_TOOL_FAILED`, `PERMISSION_DENIED`, `INTERRUPTED`, and what the gate and connecting throw
 * @example await restoreDatabase({ env: 'development', id: 'latest', disconnectUsers: true });
 */
export function restoreDatabase(options: RestoreOptions): Promise<RestoreResult> {
  return guarded('restore-backup', options, (target, permit) => restoreBackup(target, options, permit));
}

async function restoreBackup(target: Target, options: RestoreOptions, { reason }: Permit): Promise<RestoreResult> {
  const startedAt = Date.now();
  const { backupsDir } = await getWorkspace();
  const environment =
    options.fromEnvironment === undefined ? target.environment : normalizeEnv(options.fromEnvironment);
  await refuseUnmasked(environment, target);
  refuseStranger(environment, target);
  const backup = await findBackup({ backupsDir, environment }, options.id);
  refuseUnlessWhole(backup.manifest, target);
  const { onProgress, signal } = options;
  const restore: Restore = {
    target,
    folder: backup.path,
    manifest: backup.manifest,
    reason,
    disconnectUsers: options.disconnectUsers === true,
    keepPrevious: options.keepPrevious ?? target.isProtected,
    controls: { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) },
  };
  let isSwapped = false;
  try {
    // before anything is touched: an archive that is damaged may restore without an error
    await verifyFiles(restore.folder, restore.manifest, restore.controls);
    // our own idle sessions are no users
    await ownSessionsEnded(target);
    if (options.method === 'transaction') {
      const tables = await restoreInTransaction({
        target,
        folder: restore.folder,
        manifest: restore.manifest,
        serverMajor: target.serverMajor ?? restore.manifest.serverMajor,
        controls: restore.controls,
      });
      return {
        database: target.database,
        previousDatabase: null,
        tables,
        strategy: 'transaction',
        durationMs: Date.now() - startedAt,
      };
    }
    const done = await withMaintenanceConnection(target.settings, (maintenance, database) =>
      replace(maintenance, database, restore, () => {
        isSwapped = true;
      }),
    );
    return { database: target.database, ...done, strategy: 'swap', durationMs: Date.now() - startedAt };
  } catch (error) {
    throw isSwapped ? error : explained(error, unchanged(target), signal);
  }
}

async function ownSessionsEnded({ environment }: Target): Promise<void> {
  await Promise.race([closeEngines(environment), sleep(OWN_SESSIONS_MS, undefined, { ref: false })]);
}

function unchanged({ database, exists, host, port }: Target): string {
  return exists
    ? `${database} on ${host}:${port} was not changed.`
    : `${database} on ${host}:${port} still does not exist.`;
}

interface Restore {
  readonly target: Target;
  readonly folder: string;
  readonly manifest: Manifest;
  readonly reason: string | null;
  readonly disconnectUsers: boolean;
  readonly keepPrevious: boolean;
  readonly controls: OperationControls;
}

type Replaced = Pick<RestoreResult, 'previousDatabase' | 'tables'>;

/** A backup without rows would replace every row by nothing, and one without definitions has nothing to put them in. */
function refuseUnlessWhole({ id, contents }: Manifest, { database, exists }: Target): void {
  if (contents === 'all' || (contents === 'schema' && !exists)) return;
  const lacks = contents === 'schema' ? 'no rows' : 'no table definitions';
  throw new ManageDbError(
    'USAGE',
    `Backup ${id} has ${lacks}: it cannot take the place of ${database}. Nothing was changed.`,
    {
      hint: 'Choose a complete one (manage_db list-all-backups), or load its dump with pg_restore.',
    },
  );
}

async function replace(
  maintenance: Client,
  maintenanceDatabase: string,
  restore: Restore,
  onSwapped: () => void,
): Promise<Replaced> {
  const { target, folder, manifest, controls, disconnectUsers, keepPrevious } = restore;
  await lockRestoreOf(maintenance, target.database);
  await dropAbandonedScratchDatabases(maintenance);
  const live = await readDatabaseProperties(maintenance, target.database);
  refuseIfAppeared(target, live !== null);
  if (live !== null) {
    await refuseIfNotSwappable(maintenance, target.database);
    if (!disconnectUsers) await refuseIfInUse(maintenance, target.database);
  }
  stopIfAborted(controls.signal);
  controls.onProgress?.({ step: 'creating a scratch database' });
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  const scratch = await createScratchDatabase(maintenance, manifest.properties, serverMajor);
  try {
    const filling = { settings: target.settings, serverMajor, folder, manifest, controls };
    const tables = await fillScratch(scratch, filling);
    // from the live one: grants and settings may have changed since the backup, and a restore is of the contents
    await applyProperties(maintenance, scratch, live ?? manifest.properties);
    await keepRecords(scratch, restore, live !== null);
    // another operation of this process may have been refused meanwhile, and have written that down
    await ownSessionsEnded(target);
    stopIfAborted(controls.signal);
    controls.onProgress?.({ step: 'swapping' });
    const previous = previousName(target.database, new Date());
    await withConnection(target.settings, { database: maintenanceDatabase }, async (second) => {
      // a live database that appeared or went meanwhile makes the rename fail, and nothing has happened
      if (live === null) await renameDatabase(maintenance, scratch, target.database);
      else await swapDatabases(maintenance, second, { live: target.database, scratch, previous, disconnectUsers });
    });
    onSwapped();
    const isCarried = live === null || (await carryLate(previous, target));
    const isKept = live !== null && (keepPrevious || !isCarried || !(await isDropped(maintenance, previous)));
    return { previousDatabase: isKept ? previous : null, tables };
  } catch (error) {
    throw await afterDropping(scratch, target, error);
  }
}

/** What the gate has decided was about the database that was there then, or was not. */
function refuseIfAppeared({ database, exists }: Target, isThere: boolean): void {
  if (isThere === exists) return;
  throw new ManageDbError('DATABASE_IN_USE', `${database} ${isThere ? 'has appeared' : 'has gone'} in this moment.`, {
    hint: 'Look at it, and run the restore again.',
  });
}

/** The stamp that the gate has seen must still be the one that is there. */
function refuseIfStamped(seen: Stamp | null, now: Stamp | null): void {
  if (
    seen?.stampedAt === now?.stampedAt &&
    seen?.environment === now?.environment &&
    seen?.protected === now?.protected
  )
    return;
  throw new ManageDbError('STAMP_MISMATCH', 'Somebody has stamped the database during the restore.', {
    hint: 'See: manage_db switch-env --status',
  });
}

/** The stamp of what it becomes, and what manage_db knows about the database that it replaces. */
async function keepRecords(scratch: string, restore: Restore, hasLive: boolean): Promise<void> {
  const { target, manifest, reason, controls } = restore;
  const { settings } = target;
  await withConnection(settings, { database: scratch, signal: controls.signal }, async (contents) => {
    await ensureSchema(contents);
    const live = target.stamp?.says ?? null;
    const isCarried =
      hasLive &&
      (await withConnection(settings, {}, async (present) => {
        const { hasRecords } = await readObservation(present);
        refuseIfStamped(live, hasRecords ? await readStamp(present) : null);
        if (hasRecords) await carryRecords(present, contents);
        return hasRecords;
      }));
    const isSameEnvironment = manifest.environment === target.environment;
    if (!isCarried) await forgetRecords(contents, { isSameEnvironment });
    await grantAccess(contents, target.database);
    await stampRestored(contents, target, { live, database: target.database, backup: manifest.id, reason });
  });
}

/**
 * What was logged between the carrying and the swap. Where that fails, the previous database must not be dropped: it has
 * the only copy.
 */
async function carryLate(previous: string, { settings }: Target): Promise<boolean> {
  try {
    await withConnection(settings, { database: previous }, (from) =>
      withConnection(settings, {}, async (to) => {
        if (!(await readObservation(from)).hasRecords) return;
        await carryKillSwitch(from, to);
        await carryLateEntries(from, to);
      }),
    );
    return true;
  } catch {
    return false;
  }
}

/** What a protected environment holds must not come to lie in an open one as it is. */
async function refuseUnmasked(from: string, target: Target): Promise<void> {
  if (from === target.environment || target.isProtected || !(await describeConfig(from)).security.protected) return;
  throw new ManageDbError(
    'PROTECTED_ENVIRONMENT',
    `A backup of ${from}, which is protected, is not restored to ${target.environment}, which is not; nothing was changed.`,
    { hint: `Restore it to a protected environment, or declare ${target.environment} protected.` },
  );
}

/** With nothing there to compare with, only the backup itself says that it is the database which is missed. */
function refuseStranger(from: string, { environment, isProtected, exists }: Target): void {
  if (exists || !isProtected || from === environment) return;
  throw new ManageDbError(
    'PROTECTED_ENVIRONMENT',
    `${environment} is missing, and a backup of ${from} is not what it was; nothing was changed.`,
    { hint: `Choose a backup of ${environment}: manage_db list-all-backups` },
  );
}

async function applyProperties(db: Queryable, database: string, properties: Manifest['properties']): Promise<void> {
  for (const statement of propertyStatements(database, properties)) await db.query(statement);
}

/** The live database is the restored one by now: a previous one that cannot be dropped is kept, not a failure. */
function isDropped(db: Queryable, database: string): Promise<boolean> {
  return dropDatabase(db, database).then(
    () => true,
    () => false,
  );
}

/** On a connection of its own: the one that worked until now may be what has failed. */
async function afterDropping(scratch: string, { settings }: Target, error: unknown): Promise<unknown> {
  try {
    await withMaintenanceConnection(settings, (db) => dropDatabase(db, scratch));
    return error;
  } catch {
    return explained(error, `The scratch database ${scratch} is left, and the next restore drops it.`);
  }
}
