import { type Client, escapeIdentifier } from 'pg';
import { getWorkspace } from '../../config/workspace.js';
import type { Queryable } from '../../database/queryable.js';
import { stampStatement } from '../../database/records/identity.js';
import { ensureSchema } from '../../database/schema/ensure-schema.js';
import { withConnection, withMaintenanceConnection } from '../../services/with-connection.js';
import { normalizeEnv } from '../environment.js';
import { ManageDbError } from '../errors.js';
import type { OperationControls } from '../progress.js';
import { guarded, type OperationOptions, type Permit, type Target } from '../safety/gate.js';
import { replacedStamp } from '../safety/write-stamp.js';
import { removeBackup } from './backup/backup-folder.js';
import { SAFETY_LABEL } from './backup/backup-id.js';
import { findBackup } from './backup/choose-backup.js';
import { commentStatement, propertyStatements } from './backup/database-properties.js';
import { fillScratch } from './backup/fill-scratch.js';
import type { DecryptOptions } from './backup/keys.js';
import { type LeftOutParts, leftOutParts, NOTHING_LEFT_OUT, withoutParts } from './backup/left-out-parts.js';
import { type Manifest, type TableRows, usersTables } from './backup/manifest.js';
import { withRepository } from './backup/open-repository.js';
import { openingOf, withOpenBackup } from './backup/opening.js';
import {
  createScratchDatabase,
  dropAbandonedScratchDatabases,
  lockRestoreOf,
  renewScratchDatabase,
  SCRATCH_COMMENT,
} from './backup/scratch-database.js';
import { endSessionsOf, refuseIfInUse } from './backup/sessions.js';
import { sweepPartials } from './backup/sweep-partials.js';
import { afterDropping } from './backup/with-scratch-database.js';
import { type BackupResult, backupTarget } from './backup.js';
import { UnknownOutcome } from './commit-outcome.js';
import { explained, stopIfAborted } from './failure.js';
import { checkContents } from './restore/check-contents.js';
import type { FreeSpace } from './restore/free-space.js';
import type { WantedPart } from './restore/in-place/choose-tables.js';
import { wantedPart } from './restore/in-place/wanted-part.js';
import { type InPlaceResult, restoreInPlace } from './restore/in-place.js';
import { readSubscriptionsToRefresh, restoreInTransaction } from './restore/in-transaction.js';
import { keepRecords } from './restore/keep-records.js';
import { type Keeping, keptFor } from './restore/keeping.js';
import { begin, describeUnchanged } from './restore/live-database.js';
import { chooseMethod, type RestoreMethod } from './restore/method.js';
import {
  isFromElsewhere,
  readBecameProtected,
  refuseStrange,
  type Source,
  sourceOf,
} from './restore/other-environment.js';
import { ownComment } from './restore/previous-database.js';
import { ownSessionsEnded, type Placed, putInPlace } from './restore/put-in-place.js';
import { refuseIfChanged } from './restore/recheck.js';
import { type Rehearsed, rehearse } from './restore/rehearsal.js';
import { rehearseSchema } from './restore/schema-rehearsal.js';

export interface RestoreOptions extends OperationOptions {
  /** A backup's id, the beginning of exactly one, or `latest`. */
  readonly id: string;
  /** The environment that the backup is of, where it is not the target. */
  readonly fromEnvironment?: string | undefined;
  /**
   * Lets what a protected environment holds come into an open one as it is: by an operation of its own, which wants the whole
   * ceremony. An archive cannot be masked.
   */
  readonly unmasked?: boolean | undefined;
  /** Ends the sessions of the target's users at the moment of the swap; without it a target in use is refused. */
  readonly disconnectUsers?: boolean | undefined;
  /** Keeps the replaced database beside the new one: milliseconds, or `true` for 24 hours, as on protected environments. */
  readonly keepPrevious?: Keeping | undefined;
  /** What the server lacks and the database can do without: `owners`, `grants`, `tablespaces`, `extension:NAME`. */
  readonly without?: readonly string[] | undefined;
  /** `swap` where it is possible by default; see `because` in the result. */
  readonly method?: RestoreMethod | undefined;
  /** What decrypts the backup, where it is encrypted; the settings of its environment by default. */
  readonly decrypt?: DecryptOptions | undefined;
  /** The backup lies in a storage instead of the workspace: `s3://bucket/prefix`, or a folder. */
  readonly storage?: string | undefined;
  /** Only these tables, with their partitions; needs `inPlace`: `name`, `schema.name`, quoted as in SQL or not. */
  readonly tables?: readonly string[] | undefined;
  /** Only the tables of these schemas; needs `inPlace`. A schema that is gone is made again with everything in it. */
  readonly schemas?: readonly string[] | undefined;
  /** Brings tables back inside the live database, where everything else stays as it is. */
  readonly inPlace?: boolean | undefined;
}

export interface RestoreResult extends Placed {
  /** Of the backup. */
  readonly id: string;
  readonly fromEnvironment: string;
  /** Of the target. */
  readonly environment: string;
  readonly database: string;
  readonly strategy: RestoreMethod | 'in-place';
  /** Why that way, in a sentence. */
  readonly because: string;
  /** The backup of what was replaced in one transaction, which leads back; `null` after a swap. */
  readonly safetyBackup: string | null;
  readonly durationMs: number;
  /** Those of the users, without manage_db's own. */
  readonly tables: readonly TableRows[];
  /** Bytes that were free where the server keeps its databases; `'unknown'` where that cannot be seen from here. */
  readonly freeBytes: FreeSpace;
  /** What is as it was backed up, and may still surprise. */
  readonly warnings: readonly string[];
  /** Which tables were brought back inside the live database; `null`: all of it was restored. */
  readonly inPlace: InPlaceResult | null;
}

/**
 * Restores a backup into a scratch database, compares it with the manifest, and puts it in the place of the live one
 * by renaming; where that cannot be, inside the live one, in one transaction, after a safety backup. Until the renaming or
 * the commit the live database is untouched, whatever fails.
 *
 * @throws ManageDbError `NOT_FOUND` also for what the server lacks, `USAGE`, `BACKUP_INVALID`, `DATABASE_IN_USE`,
 *   `STAMP_MISMATCH`, `KILL_SWITCH`, `DECRYPTION_FAILED`, `STORAGE_FAILED`, `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `PERMISSION_DENIED`, `INTERRUPTED`, and what the gate and connecting throw
 * @example await restoreDatabase({ env: 'development', id: 'latest', disconnectUsers: true });
 */
export async function restoreDatabase(options: RestoreOptions): Promise<RestoreResult> {
  const part = wantedPart(options);
  const work = (target: Target, permit: Permit) => restoreBackup(target, { ...options, part }, permit);
  if (options.unmasked === true) return guarded('restore-unmasked-backup', options, work);
  return guarded('restore-backup', options, work);
}

async function restoreBackup(
  target: Target,
  options: RestoreOptions & { readonly part: WantedPart | null },
  { reason, note }: Permit,
): Promise<RestoreResult> {
  const startedAt = Date.now();
  const keepMs = keptFor(options.keepPrevious ?? target.isProtected);
  const environment =
    options.fromEnvironment === undefined ? target.environment : normalizeEnv(options.fromEnvironment);
  return withRepository({ storage: options.storage, environment }, async (repository) => {
    const { backup, manifest } = await findBackup(repository, environment, options.id);
    const source = await sourceOf(manifest);
    refuseStrange(source, { target, isUnmasked: options.unmasked === true });
    if (options.part === null) refuseUnlessWhole(manifest, target);
    const { onProgress, signal } = options;
    const controls = {
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(signal === undefined ? {} : { signal }),
    };
    const restore = {
      target,
      parts: leftOutParts(options.without ?? [], manifest),
      manifest,
      source,
      reason,
      disconnectUsers: options.disconnectUsers === true,
      keepMs,
      controls,
    };
    const places = {
      id: manifest.id,
      fromEnvironment: environment,
      environment: target.environment,
      database: target.database,
    };
    let isReplaced = false;
    const onReplaced = (): void => {
      isReplaced = true;
    };
    try {
      // the safety backup of a restore that was killed
      const { backupsDir } = await getWorkspace();
      await sweepPartials({ backupsDir, environment: target.environment }, controls);
      const { part } = options;
      const rehearsed = part === null ? await rehearse(target, manifest, restore.parts) : NOT_REHEARSED;
      // before anything is touched: an archive that is damaged may restore without an error
      const opening = openingOf(repository, backup, { manifest, decrypt: options.decrypt ?? {}, controls });
      return await withOpenBackup(opening, async (folder) => {
        if (part !== null) {
          const done = await restorePart({ ...restore, folder }, part);
          note({ inPlace: done.inPlace });
          return { ...places, ...done, durationMs: Date.now() - startedAt };
        }
        const done = await replaceBy(options.method, { ...restore, folder, ...rehearsed }, onReplaced);
        return {
          ...places,
          ...done,
          durationMs: Date.now() - startedAt,
          freeBytes: rehearsed.freeBytes,
          warnings: [...rehearsed.warnings, ...done.warnings, ...readBecameProtected(source, target)],
          inPlace: null,
        };
      });
    } catch (error) {
      if (isReplaced || error instanceof UnknownOutcome) throw error;
      throw explained(error, describeUnchanged(target), signal);
    }
  });
}

/** Tables need nothing of the server that it has not. */
const NOT_REHEARSED: Rehearsed = { missingRoles: [], warnings: [], freeBytes: 'unknown' };

/** By the wanted method, or the one that is possible. */
async function replaceBy(
  wanted: RestoreMethod | undefined,
  restore: Restore & Pick<Rehearsed, 'missingRoles'>,
  onReplaced: () => void,
): Promise<Replaced & Pick<RestoreResult, 'strategy' | 'because'>> {
  const { target, manifest } = restore;
  // our own idle sessions are no users
  await ownSessionsEnded(target);
  return withMaintenanceConnection(target.settings, async (maintenance, database) => {
    const { method, because } = await chooseMethod(maintenance, target, wanted);
    if (isFromElsewhere(manifest, target)) await rehearseSchema(maintenance, restore, method);
    const replaced =
      method === 'transaction'
        ? await replaceInside(maintenance, restore, onReplaced)
        : await replace(maintenance, database, restore, onReplaced);
    return { ...replaced, strategy: method, because };
  });
}

interface Restore {
  readonly target: Target;
  readonly folder: string;
  readonly manifest: Manifest;
  readonly source: Source;
  readonly parts: LeftOutParts;
  readonly reason: string | null;
  readonly disconnectUsers: boolean;
  readonly keepMs: number | null;
  readonly controls: OperationControls;
}

/** Tables inside the live database. */
async function restorePart(restore: Restore, wanted: WantedPart) {
  const { target, folder, manifest, parts, controls } = restore;
  const restored = await restoreInPlace({ target, folder, manifest, wanted, parts, controls });
  const strategy: RestoreResult['strategy'] = 'in-place';
  return { strategy, because: 'It was asked for.', previousDatabase: null, previousUntil: null, ...restored };
}

type Replaced = Placed & Pick<RestoreResult, 'tables' | 'warnings' | 'safetyBackup'>;

/** A backup without rows would replace every row by nothing, and one without definitions has nothing to put them in. */
function refuseUnlessWhole({ id, contents, selection }: Manifest, { database, exists }: Target): void {
  const isPart = Object.values(selection).some((names) => names.length > 0);
  if (!isPart && (contents === 'all' || (contents === 'schema' && !exists))) return;
  const lacks = isPart ? `only a part${partOf(selection)}` : contents === 'schema' ? 'no rows' : 'no table definitions';
  throw new ManageDbError(
    'USAGE',
    `Backup ${id} has ${lacks}: it cannot take the place of ${database}. Nothing was changed.`,
    {
      hint: 'Choose a complete one (manage_db list-all-backups), or load its dump with pg_restore.',
    },
  );
}

function partOf({ schemas, tables, excludedData }: Manifest['selection']): string {
  const chosen = [...schemas.map((schema) => `schema ${schema}`), ...tables];
  const only = chosen.length > 0 ? ` (${chosen.join(', ')})` : '';
  return excludedData.length > 0 ? `${only}, without the rows of ${excludedData.join(', ')}` : only;
}

/** What is found only when it is committed is no failure any more. */
function committedAnyway(error: unknown): string[] {
  if (error instanceof ManageDbError && error.code === 'BACKUP_INVALID') return [error.message];
  throw error;
}

/** Inside the live database, which is backed up first. */
async function replaceInside(maintenance: Client, restore: Restore, onCommitted: () => void): Promise<Replaced> {
  const { target, folder, manifest, source, reason, controls, disconnectUsers } = restore;
  if (JSON.stringify(restore.parts) !== JSON.stringify(NOTHING_LEFT_OUT)) {
    throw new ManageDbError('USAGE', 'What the server lacks can be left out by a swap only. Nothing was changed.', {
      hint: 'Leave out --without, or restore by --method swap.',
    });
  }
  await lockRestoreOf(maintenance, target.database);
  await dropAbandonedScratchDatabases(maintenance);
  if (disconnectUsers) await endSessionsOf(maintenance, target.database);
  else await refuseIfInUse(maintenance, target.database);
  await withConnection(target.settings, {}, async (present) => {
    await refuseIfChanged(present, target);
    // the backup's records of what is in it have to fit into it
    await ensureSchema(present);
  });
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  let safety: BackupResult | null = null;
  const backUp = async (signal: AbortSignal): Promise<void> => {
    // of a first attempt, since which somebody may have written
    if (safety !== null) await removeBackup((safety as BackupResult).path);
    safety = await backupTarget(target, { ...controls, signal, label: SAFETY_LABEL });
    stopIfAborted(signal);
  };
  let isCommitted = false;
  const stamp =
    source.environment === target.environment ? null : stampStatement(await replacedStamp(target, { source, reason }));
  const inside = { target, folder, manifest, serverMajor, controls, backUp, stamp };
  try {
    const tables = await restoreInTransaction({
      ...inside,
      onCommitted: () => {
        isCommitted = true;
        onCommitted();
      },
    });
    const warnings = await withConnection(target.settings, {}, async (contents) => [
      ...(await readSubscriptionsToRefresh(contents)),
      ...(await checkContents(contents, { manifest, environment: target.environment, controls }).catch(
        committedAnyway,
      )),
    ]);
    return { previousDatabase: null, previousUntil: null, safetyBackup: idOf(safety), tables, warnings };
  } catch (error) {
    if (isCommitted) throw explained(error, `${target.database} is restored; what it was is backup ${idOf(safety)}.`);
    if (error instanceof UnknownOutcome) {
      onCommitted();
      throw explained(error, `What ${target.database} was is backup ${idOf(safety)}.`);
    }
    // nothing was replaced, so there is nothing to go back to
    if (safety !== null) await removeBackup((safety as BackupResult).path);
    throw error;
  }
}

function idOf(backup: BackupResult | null): string | null {
  return backup === null ? null : backup.id;
}

async function replace(
  maintenance: Client,
  maintenanceDatabase: string,
  restore: Restore & Pick<Rehearsed, 'missingRoles'>,
  onSwapped: () => void,
): Promise<Replaced> {
  const { target, folder, manifest, source, parts, reason, controls, disconnectUsers, keepMs, missingRoles } = restore;
  const live = await begin(maintenance, { target, disconnectUsers });
  stopIfAborted(controls.signal);
  controls.onProgress?.({ step: 'creating a scratch database' });
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  const scratch = await createScratchDatabase(maintenance, manifest.properties, serverMajor);
  try {
    const restricted = (live ?? manifest.properties).grants !== null;
    // who may not connect to the live one must not read it here, while it is loaded
    // from the live one: grants and settings may have changed since the backup, and a restore is of the contents
    const own = { login: target.user, missing: missingRoles };
    const properties = live ?? withoutParts(manifest.properties, parts, own);
    const prepare = async (): Promise<void> => {
      if (restricted) await maintenance.query(`revoke all on database ${escapeIdentifier(scratch)} from public`);
      // who has rights by owning the database has them already when its contents are looked at
      const owner = escapeIdentifier(properties.owner);
      await maintenance.query(`alter database ${escapeIdentifier(scratch)} owner to ${owner}`);
    };
    await prepare();
    const renew = async (): Promise<void> => {
      await renewScratchDatabase(maintenance, scratch, { properties: manifest.properties, serverMajor });
      await prepare();
    };
    const filling = { settings: target.settings, serverMajor, folder, manifest, parts, controls, renew };
    const tables = await fillScratch(scratch, filling);
    const warnings = await withConnection(target.settings, { database: scratch, signal: controls.signal }, (contents) =>
      checkContents(contents, { manifest, environment: target.environment, controls }),
    );
    await applyProperties(maintenance, scratch, properties);
    await keepRecords(scratch, {
      target,
      hasLive: live !== null,
      backup: manifest.id,
      isSameEnvironment: manifest.environment === target.environment,
      source: manifest.environment === target.environment ? null : source,
      reason,
      signal: controls.signal,
    });
    const placed = await putInPlace(maintenance, maintenanceDatabase, {
      target,
      candidate: scratch,
      live,
      statements: [commentStatement(target.database, ownComment(properties.comment))],
      disconnectUsers,
      keepMs,
      controls,
      onSwapped,
    });
    return { ...placed, safetyBackup: null, tables: usersTables(tables), warnings };
  } catch (error) {
    if (error instanceof UnknownOutcome) throw error;
    throw await afterDropping(scratch, target.settings, error);
  }
}

/** All but the comment, which comes with the name: by its own a scratch database is recognized. */
async function applyProperties(db: Queryable, scratch: string, properties: Manifest['properties']): Promise<void> {
  // what it was only set to while it was filled: synchronous_commit, and perhaps a search_path
  await db.query(`alter database ${escapeIdentifier(scratch)} reset all`);
  for (const statement of propertyStatements(scratch, { ...properties, comment: SCRATCH_COMMENT }))
    await db.query(statement);
}
