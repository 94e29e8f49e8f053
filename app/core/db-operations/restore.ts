import { getWorkspace } from '../../config/workspace.js';
import { withMaintenanceConnection } from '../../services/with-connection.js';
import { normalizeEnv } from '../environment-names.js';
import { ManageDbError } from '../errors.js';
import { guarded, type OperationOptions, type Permit, type Target } from '../safety/gate.js';
import type { DecryptOptions } from './backup/encryption/keys.js';
import { openingOf, withOpenBackup } from './backup/encryption/opening.js';
import { leftOutParts } from './backup/left-out-parts.js';
import { findBackup } from './backup/repository/choose-backup.js';
import { withRepository } from './backup/repository/open-repository.js';
import { sweepPartials } from './backup/repository/sweep-partials.js';
import { UnknownOutcome } from './commit-outcome.js';
import { explained } from './failure.js';
import type { Manifest, TableRows } from './manifest/manifest.js';
import { restoreBySwap } from './restore/by-swap.js';
import { restoreByTransaction } from './restore/by-transaction.js';
import type { FreeSpace } from './restore/free-space.js';
import type { WantedPart } from './restore/in-place/choose-tables.js';
import { wantedPart } from './restore/in-place/wanted-part.js';
import { type InPlaceRestore, type InPlaceResult, restoreInPlace } from './restore/in-place.js';
import { isWanted, type Keeping, keptFor, refuseUnkeepable } from './restore/keeping.js';
import { describeUnchanged } from './restore/live-database.js';
import { chooseMethod, type RestoreMethod } from './restore/method.js';
import { isFromElsewhere, readBecameProtected, refuseStrange, sourceOf } from './restore/other-environment.js';
import { ownSessionsEnded, type Placed } from './restore/put-in-place.js';
import { needsOf, rehearse } from './restore/rehearsal.js';
import { rehearseSchema } from './restore/schema-rehearsal.js';
import type { Replaced, WholeRestore } from './restore/whole-restore.js';

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
  refuseUnkeepable(options.method, options.keepPrevious);
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
    let outcome = describeUnchanged(target);
    const restore = {
      ...{ target, manifest, source, reason, controls },
      parts: leftOutParts(options.without ?? [], manifest),
      onReplaced: (sentence: string): void => {
        outcome = sentence;
      },
    };
    const places = {
      id: manifest.id,
      fromEnvironment: environment,
      environment: target.environment,
      database: target.database,
    };
    try {
      // the safety backup of a restore that was killed
      const { backupsDir } = await getWorkspace();
      await sweepPartials({ backupsDir, environment: target.environment }, controls);
      const { part, decrypt = {} } = options;
      const work = part === null ? await wholly(restore, options) : partly(restore, part);
      // before anything is touched: an archive that is damaged may restore without an error
      const opening = openingOf(repository, backup, { manifest, decrypt, controls });
      const done = await withOpenBackup(opening, async (folder) => {
        const { inPlace, ...more } = await work(folder);
        if (inPlace !== null) note({ inPlace });
        return { ...more, inPlace };
      });
      const warnings = [...done.warnings, ...readBecameProtected(source, target)];
      return { ...places, ...done, durationMs: Date.now() - startedAt, warnings };
    } catch (error) {
      throw error instanceof UnknownOutcome ? error : explained(error, outcome, signal);
    }
  });
}

/** What is known of a restore before the files of its backup are. */
type Restoring = Omit<InPlaceRestore, 'folder' | 'wanted'>;

type Done = Omit<RestoreResult, 'id' | 'fromEnvironment' | 'environment' | 'database' | 'durationMs'>;

/** Tables inside the live database. */
function partly(restore: Restoring, wanted: WantedPart): (folder: string) => Promise<Done> {
  return async (folder) => ({
    ...(await restoreInPlace({ ...restore, folder, wanted })),
    ...{ strategy: 'in-place', because: 'It was asked for.', previousDatabase: null, previousUntil: null },
  });
}

/** All of it, when it is known that the server has what it needs. */
async function wholly(restore: Restoring, options: RestoreOptions): Promise<(folder: string) => Promise<Done>> {
  const { target, manifest, parts } = restore;
  const { method, disconnectUsers = false, keepPrevious } = options;
  const keepMs = keptFor(keepPrevious ?? target.isProtected);
  const { missingRoles, freeBytes, warnings } = await rehearse(target, needsOf(manifest), parts);
  return async (folder) => {
    const replaced = await replaceBy(method, { ...restore, folder, missingRoles, disconnectUsers, keepMs });
    const { strategy, because, safetyBackup } = replaced;
    const unkept =
      strategy === 'transaction' && isWanted(keepPrevious)
        ? [
            `No previous database is kept: ${because} What it was: manage_db restore-backup ${safetyBackup} --env ${target.environment}`,
          ]
        : [];
    return { ...replaced, freeBytes, warnings: [...warnings, ...replaced.warnings, ...unkept], inPlace: null };
  };
}

/** By the wanted method, or the one that is possible. */
async function replaceBy(
  wanted: RestoreMethod | undefined,
  restore: WholeRestore,
): Promise<Replaced & Pick<RestoreResult, 'strategy' | 'because'>> {
  const { target, manifest } = restore;
  // our own idle sessions are no users
  await ownSessionsEnded(target);
  return withMaintenanceConnection(target.settings, async (maintenance, database) => {
    const { method, because } = await chooseMethod(maintenance, target, wanted);
    if (isFromElsewhere(manifest, target)) await rehearseSchema(maintenance, restore, method);
    const replaced =
      method === 'transaction'
        ? await restoreByTransaction(maintenance, restore)
        : await restoreBySwap(maintenance, database, restore);
    return { ...replaced, strategy: method, because };
  });
}

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
