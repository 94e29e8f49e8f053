import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { getWorkspace } from '../../config/workspace.js';
import { countLargeObjects } from '../../database/catalog/database-objects.js';
import type { Queryable } from '../../database/queryable.js';
import { findClientTools } from '../../services/client-tools.js';
import { type BackupStorage, folderStorage } from '../../services/storage.js';
import { withMaintenanceConnection } from '../../services/with-connection.js';
import { codeOf, ManageDbError } from '../errors.js';
import type { OperationControls } from '../progress.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { sealFiles } from './backup/backup-files.js';
import { makeBackup, makeStoredBackup } from './backup/backup-folder.js';
import { SAFETY_LABEL } from './backup/backup-id.js';
import { parseCompression } from './backup/compression.js';
import { describeDatabase } from './backup/database-description.js';
import { type Deposit, put, putKey } from './backup/deposit.js';
import { asDiskFull } from './backup/disk-full.js';
import { dumpDatabase } from './backup/dump.js';
import { sizesOf, withDumpProgress } from './backup/dump-progress.js';
import { describeGlobals, GLOBALS_FILE, type GlobalsScript } from './backup/globals.js';
import type { AskPassphrase, Encrypt } from './backup/keys.js';
import {
  BACKUP_FORMATS,
  type BackupFormat,
  MANIFEST_VERSION,
  type Manifest,
  type ManifestFile,
} from './backup/manifest.js';
import { withStorage } from './backup/open-repository.js';
import { proveBackup, requireScratchDatabases } from './backup/prove.js';
import { dropAbandonedScratchDatabases } from './backup/scratch-database.js';
import { newSealing } from './backup/sealing.js';
import { searchPathOf } from './backup/search-path.js';
import { leftOutOf, resolveSelection } from './backup/selection.js';
import { withSnapshot } from './backup/snapshot.js';
import { storageRepository } from './backup/storage-repository.js';
import { prefixOfBackup } from './backup/stored-backup.js';
import { sweepPartials } from './backup/sweep-partials.js';
import { countTableRows, listTablesWithoutRows, listTablesWithRows } from './backup/table-rows.js';
import { together } from './backup/together.js';
import type { Verification } from './backup/verification.js';
import { explained, stopIfAborted } from './failure.js';

export { type BackupFormat, type Manifest, usersTables } from './backup/manifest.js';
export type { BackupState, BackupSummary, BackupVerification } from './backup/summary.js';

export interface BackupOptions extends OperationOptions {
  /** A few words that say what it is for; a part of the id. */
  readonly label?: string | undefined;
  /**
   * `directory` by default, the only one that is written in parallel; `custom` for a database with thousands of large
   * objects, each of which would be a file, and with `encrypt` or `storage`: it needs no place in between.
   */
  readonly format?: BackupFormat | undefined;
  readonly schemaOnly?: boolean | undefined;
  readonly dataOnly?: boolean | undefined;
  /** Only these schemas. Such a backup cannot take the place of a database; the same goes for the next two. */
  readonly schemas?: readonly string[] | undefined;
  /** Only these tables, views and sequences, with their partitions: `name`, `schema.name`, quoted as in SQL or not. */
  readonly tables?: readonly string[] | undefined;
  /** Tables that are dumped without their rows. */
  readonly excludeTableData?: readonly string[] | undefined;
  /** `none`, `gzip`, `lz4` or `zstd`, with a level or without: `zstd:3`. By default the fastest that there is. */
  readonly compress?: string | undefined;
  /**
   * Keeps what the server has of the roles' passwords beside the dump, where the login may read that; by default yes.
   */
  readonly rolePasswords?: boolean | undefined;
  /**
   * Computes checksums of the tables' contents in the dump's own snapshot, restores the backup into a scratch database on
   * the same server, and compares: what does not come back as it was is no backup.
   */
  readonly prove?: boolean | undefined;
  /** Encrypts every file (age): for whom, or `true` where the settings of the environment say so. */
  readonly encrypt?: Encrypt | undefined;
  /** Asks for the passphrase where `encrypt` is `true` and no setting says anything. */
  readonly askPassphrase?: AskPassphrase | undefined;
  /** Keeps the backup there and not in the workspace: `s3://bucket/prefix`, or a folder. */
  readonly storage?: string | undefined;
  /** Connections that dump at the same time; by default one per processor, four at most. */
  readonly jobs?: number | undefined;
}

export interface BackupResult {
  readonly id: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly durationMs: number;
  readonly manifest: Manifest;
}

const MOST_JOBS = 4;
const LONGEST_LABEL = 200;

/** Milliseconds that a dump waits for a table another session has locked; without a limit it would wait for ever. */
const LOCK_TIMEOUT_MS = 60_000;

/**
 * Dumps the database of an environment into `backups/<environment>/<id>/`, with a manifest of what is in it. Whatever
 * happens, there is a complete backup afterwards or none.
 *
 * @throws ManageDbError `USAGE`, `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `DISK_FULL`, `LOCK_TIMEOUT`, `INTERRUPTED`,
 *   `NOT_FOUND` for a schema or table that is not there, `BACKUP_INVALID` and `PERMISSION_DENIED` with `prove`,
 *   `STORAGE_FAILED`, and what the gate and connecting throw
 * @example const { id } = await backupDatabase({ env: 'development', label: 'before the upgrade' });
 */
export async function backupDatabase(options: BackupOptions = {}): Promise<BackupResult> {
  const request = checked(options);
  if (request.label === SAFETY_LABEL) {
    throw new ManageDbError('USAGE', `"${SAFETY_LABEL}" is the label of the backups that restores make themselves.`, {
      hint: 'Choose another label.',
    });
  }
  return guarded('create-backup', options, (target) => createBackup(target, request));
}

/** The work of {@link backupDatabase}, for operations that have passed the gate themselves. */
export function backupTarget(target: Target, options: Omit<BackupOptions, 'env' | 'consent'>): Promise<BackupResult> {
  return createBackup(target, checked(options));
}

type Request = ReturnType<typeof checked>;

function checked(options: BackupOptions) {
  const { encrypt, askPassphrase, storage } = options;
  const {
    format = encrypt === undefined && storage === undefined ? undefined : 'custom',
    schemaOnly,
    dataOnly,
    jobs,
    label,
    compress,
    prove = false,
    rolePasswords = true,
    signal,
    onProgress,
  } = options;
  const { schemas = [], tables = [], excludeTableData: excludedData = [] } = options;
  const refuse = (message: string) =>
    new ManageDbError('USAGE', message, { hint: 'See: manage_db create-backup --help' });
  if (format !== undefined && !BACKUP_FORMATS.includes(format))
    throw refuse(`A backup is ${BACKUP_FORMATS.join(', ')}, not ${format}.`);
  if (schemaOnly && dataOnly)
    throw refuse('A backup holds the schema only, or the data only, or both: not --schema-only --data-only.');
  if (jobs !== undefined && (!Number.isInteger(jobs) || jobs < 1))
    throw refuse(`--jobs takes a number from 1, not ${jobs}.`);
  if (jobs !== undefined && jobs > 1 && format !== undefined && format !== 'directory') {
    throw refuse(
      `Only the directory format is written in parallel, not ${format}: leave out --jobs, or --format directory.`,
    );
  }
  if (label !== undefined && label.length > LONGEST_LABEL)
    throw refuse(`A label has at most ${LONGEST_LABEL} characters.`);
  if (schemas.length > 0 && tables.length > 0)
    throw refuse('A backup holds some schemas or some tables: not --schema and --table.');
  if (schemaOnly && excludedData.length > 0)
    throw refuse('With --schema-only no table has rows: leave out --exclude-table-data.');
  if (compress !== undefined && format === 'plain')
    throw refuse('A plain dump is text, which is not compressed: leave out --compress or --format plain.');
  if (prove && dataOnly) throw refuse('Rows alone cannot be restored by themselves: leave out --prove or --data-only.');
  if (prove && (schemas.length > 0 || tables.length > 0))
    throw refuse('A part of a database need not be restorable by itself: leave out --prove, or --schema and --table.');
  const contents: Manifest['contents'] = schemaOnly ? 'schema' : dataOnly ? 'data' : 'all';
  return {
    // several jobs need a directory
    format: format ?? (jobs === undefined || jobs === 1 ? null : 'directory'),
    contents,
    selection: { schemas, tables, excludedData },
    compression: compress === undefined ? null : parseCompression(compress),
    isProven: prove,
    withoutPasswords: !rolePasswords,
    encrypt,
    askPassphrase,
    storage,
    jobs: jobs ?? Math.min(MOST_JOBS, availableParallelism()),
    label: label?.trim() || null,
    controls: { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) },
  };
}

async function createBackup(target: Target, request: Request): Promise<BackupResult> {
  const { storage } = request;
  if (storage === undefined) return createIn(null, target, request);
  return withStorage(storage, target.environment, (open) => createIn(open, target, request));
}

/** In the workspace, where there is no `storage`. */
async function createIn(storage: BackupStorage | null, target: Target, request: Request): Promise<BackupResult> {
  const startedAt = new Date();
  const { backupsDir } = await getWorkspace();
  const { environment } = target;
  const { encrypt, askPassphrase, isProven, controls } = request;
  let leftBehind = 'and nothing of it was left behind';
  try {
    await sweepPartials({ backupsDir, environment }, controls);
    // of restores and proofs; who may not look there leaves them to the next restore
    await withMaintenanceConnection(target.settings, dropAbandonedScratchDatabases).catch(() => undefined);
    if (storage !== null) {
      // what cannot be removed there is no reason to make no backup
      await storageRepository(storage, storage.location).sweep(environment, controls).catch(unlessRefused);
    }
    const sealing = encrypt === undefined ? null : await newSealing({ environment, encrypt, askPassphrase, isProven });
    const backup = { backupsDir, environment, label: request.label, at: startedAt };
    const depositOf = (folder: string, id: string): Deposit | null => {
      if (storage !== null) return { storage, prefix: prefixOfBackup(environment, id), sealing };
      return sealing === null ? null : { storage: folderStorage(folder), prefix: '', sealing };
    };
    const making = {
      fill: (folder: string, id: string) =>
        fill(folder, { id, target, request, startedAt, deposit: depositOf(folder, id) }),
      prove: async (folder: string, manifest: Manifest) =>
        isProven ? prove({ folder, manifest, target, request, deposit: depositOf(folder, manifest.id) }) : null,
    };
    const onLeft = (): void => {
      leftBehind = `and what was stored of it in ${storage?.location} is removed by the next create-backup there`;
    };
    const { path, manifest } = await (storage === null
      ? makeBackup(backup, making)
      : makeStoredBackup(backup, { ...making, storage, onLeft }));
    const sizeBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    return { id: manifest.id, path, sizeBytes, durationMs: Date.now() - startedAt.getTime(), manifest };
  } catch (error) {
    const known = asDiskFull(error, backupsDir);
    throw explained(known, `No backup was made, ${leftBehind}.`, controls.signal);
  }
}

function unlessRefused(error: unknown): void {
  if (codeOf(error) !== 'PERMISSION_DENIED') throw error;
}

interface Proving {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly target: Target;
  readonly request: Request;
  readonly deposit: Deposit | null;
}

/** What was stored elsewhere is fetched from there: that is what is proven. */
function prove({ folder, manifest, target, request, deposit }: Proving): Promise<Verification> {
  const { storage = folderStorage(folder), prefix = '', sealing = null } = deposit ?? {};
  const opening = {
    manifest,
    folder: prefix === '' ? folder : null,
    read: ({ path, sha256 }: ManifestFile, signal: AbortSignal | undefined) =>
      storage.read(`${prefix}${path}`, { sha256, signal }),
    decrypt: { identities: sealing === null ? [] : [sealing.identity] },
    controls: request.controls,
  };
  return proveBackup({ settings: target.settings, serverMajor: manifest.serverMajor, opening });
}

/** Of an id: what is unique in it. The name of a session has at most 63 bytes. */
const LENGTH_OF_TIME = '20261121T034400Z-ab12cd'.length;

interface Filling {
  readonly id: string;
  readonly target: Target;
  readonly request: Request;
  readonly startedAt: Date;
  readonly deposit: Deposit | null;
}

/** Dumps and counts at the same time, in one snapshot, and returns the manifest of what lies in `folder` then. */
async function fill(folder: string, { id, target, request, startedAt, deposit }: Filling): Promise<Manifest> {
  const { settings, environment, database, host, port } = target;
  const { controls, contents, jobs, label, compression: wanted } = request;
  const counted = await withSnapshot(
    settings,
    { lockTimeoutMs: LOCK_TIMEOUT_MS, signal: controls.signal },
    async (snapshot) => {
      const { client, id: snapshotId } = snapshot;
      const facts = await describeDatabase(client, database);
      const tools = await findClientTools({ serverMajor: facts.serverMajor, binDir: settings.pgBinDir });
      // before anything is dumped, so that a wrong name or method costs nothing
      if (request.isProven) await requireScratchDatabases(client);
      const { withoutPasswords } = request;
      const globals = await describeGlobals(client, { ...facts, database, withoutPasswords });
      const selection = await resolveSelection(client, request.selection);
      const sizes = contents === 'schema' ? [] : await sizesOf(client, await listTablesWithRows(client, selection));
      const format = request.format ?? (await fittingFormat(client));
      const application = `manage_db dump ${id.slice(0, LENGTH_OF_TIME)}`;
      const [tables, dumped] = await together(
        controls.signal,
        (signal) =>
          contents === 'schema'
            ? listTablesWithoutRows(client, selection)
            : countTableRows(client, {
                selection,
                signal,
                withChecksums: request.isProven,
                searchPath: searchPathOf(facts.properties),
              }),
        (signal) =>
          withDumpProgress({ settings, tables: sizes, application, onProgress: controls.onProgress }, (onProgress) =>
            dumpDatabase({
              onProgress,
              signal,
              tools,
              settings: { ...settings, applicationName: application },
              folder,
              deposit,
              format,
              contents,
              selection,
              compression: wanted,
              encoding: facts.properties.encoding,
              jobs,
              snapshot: snapshotId,
              lockTimeoutMs: LOCK_TIMEOUT_MS,
              tableBytes: sizes.reduce((sum, { bytes }) => sum + bytes, 0),
            }),
          ),
      );
      return {
        ...facts,
        format,
        toolVersion: tools.version,
        snapshot: snapshotId,
        compression: dumped.compression,
        selection,
        globals,
        dumped: dumped.files,
        tables,
      };
    },
  );
  const { globals, dumped, ...described } = counted;
  const files = await complete(folder, { globals, dumped, deposit, controls });
  stopIfAborted(controls.signal);
  const times = {
    createdAt: startedAt.toISOString(),
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
  };
  const { selection, ...facts } = described;
  const leftOut = [...LEFT_OUT[contents], ...(globals.hasPasswords ? [] : ['role passwords']), ...leftOutOf(selection)];
  return {
    version: MANIFEST_VERSION,
    id,
    label,
    environment,
    database,
    host,
    port,
    ...times,
    contents,
    selection: selection.said,
    encryption: deposit === null || deposit.sealing === null ? null : 'age',
    ...facts,
    files,
    leftOut,
  };
}

interface Completing {
  readonly globals: GlobalsScript;
  /** What is stored already. */
  readonly dumped: readonly ManifestFile[];
  readonly deposit: Deposit | null;
  readonly controls: OperationControls;
}

/** Adds what lies beside the dump, and returns every file. */
async function complete(folder: string, { globals, dumped, deposit, controls }: Completing): Promise<ManifestFile[]> {
  if (deposit === null) {
    await writeFile(join(folder, GLOBALS_FILE), globals.sql, { flag: 'wx', mode: 0o600, flush: true });
    return sealFiles(folder, controls);
  }
  const { signal } = controls;
  const beside = await put(deposit, GLOBALS_FILE, Readable.from([Buffer.from(globals.sql)]), { signal });
  const files = [...dumped, beside, ...(await putKey(deposit, { signal }))];
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** In a directory each large object is a file, which is written, synced and checked by itself. */
async function fittingFormat(db: Queryable): Promise<BackupFormat> {
  return (await countLargeObjects(db)).all > MOST_FILES_OF_LARGE_OBJECTS ? 'custom' : 'directory';
}

const MOST_FILES_OF_LARGE_OBJECTS = 1000;

/** Roles and tablespaces belong to the server. Those roles that the database refers to are kept beside the dump. */
const LEFT_OUT: Record<Manifest['contents'], string[]> = {
  all: ['other roles', 'tablespaces'],
  schema: ['other roles', 'tablespaces', 'rows', 'large objects'],
  data: ['other roles', 'tablespaces', 'definitions'],
};
