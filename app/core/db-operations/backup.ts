import { availableParallelism } from 'node:os';
import { getWorkspace } from '../../config/workspace.js';
import { countLargeObjects } from '../../database/catalog/database-objects.js';
import type { Queryable } from '../../database/queryable.js';
import { findClientTools } from '../../services/client-tools.js';
import { ManageDbError } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { sealFiles } from './backup/backup-files.js';
import { makeBackup } from './backup/backup-folder.js';
import { parseCompression } from './backup/compression.js';
import { describeDatabase } from './backup/database-description.js';
import { asDiskFull } from './backup/disk-full.js';
import { dumpDatabase } from './backup/dump.js';
import { sizesOf, withDumpProgress } from './backup/dump-progress.js';
import { writeGlobals } from './backup/globals.js';
import { BACKUP_FORMATS, type BackupFormat, MANIFEST_VERSION, type Manifest } from './backup/manifest.js';
import { proveBackup, requireScratchDatabases } from './backup/prove.js';
import { leftOutOf, resolveSelection } from './backup/selection.js';
import { withSnapshot } from './backup/snapshot.js';
import { sweepPartials } from './backup/sweep-partials.js';
import { countTableRows, listTablesWithoutRows, listTablesWithRows } from './backup/table-rows.js';
import { together } from './backup/together.js';
import { explained, stopIfAborted } from './failure.js';

export { type BackupState, type BackupSummary, type BackupVerification, listBackups } from './backup/backup-list.js';
export { type BackupFormat, type Manifest, usersTables } from './backup/manifest.js';

export interface BackupOptions extends OperationOptions {
  /** A few words that say what it is for; a part of the id. */
  readonly label?: string | undefined;
  /**
   * `directory` by default, the only one that is written in parallel; `custom` for a database with thousands of large
   * objects, each of which would be a file.
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
 *   `NOT_FOUND` for a schema or table that is not there, `BACKUP_INVALID` and `PERMISSION_DENIED` with `prove`, and what
 *   the gate and connecting throw
 * @example const { id } = await backupDatabase({ env: 'development', label: 'before the upgrade' });
 */
export async function backupDatabase(options: BackupOptions = {}): Promise<BackupResult> {
  const request = checked(options);
  return guarded('create-backup', options, (target) => createBackup(target, request));
}

/** The work of {@link backupDatabase}, for operations that have passed the gate themselves. */
export function backupTarget(target: Target, options: Omit<BackupOptions, 'env' | 'consent'>): Promise<BackupResult> {
  return createBackup(target, checked(options));
}

type Request = ReturnType<typeof checked>;

function checked(options: BackupOptions) {
  const {
    format,
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
    throw refuse(`Only the directory format is written in parallel: leave out --jobs or --format ${format}.`);
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
    jobs: jobs ?? Math.min(MOST_JOBS, availableParallelism()),
    label: label?.trim() || null,
    controls: { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) },
  };
}

async function createBackup(target: Target, request: Request): Promise<BackupResult> {
  const startedAt = new Date();
  const { backupsDir } = await getWorkspace();
  const { environment } = target;
  await sweepPartials({ backupsDir, environment }, request.controls);
  try {
    const { path, manifest } = await makeBackup(
      { backupsDir, environment, label: request.label, at: startedAt },
      (folder, id) => fill(folder, { id, target, request, startedAt }),
      request.isProven ? (folder, manifest) => prove(folder, manifest, target, request) : undefined,
    );
    const sizeBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    return { id: manifest.id, path, sizeBytes, durationMs: Date.now() - startedAt.getTime(), manifest };
  } catch (error) {
    const known = asDiskFull(error, backupsDir);
    throw explained(known, 'No backup was made, and nothing of it was left behind.', request.controls.signal);
  }
}

function prove(folder: string, manifest: Manifest, { settings }: Target, { controls }: Request): Promise<void> {
  return proveBackup({ settings, serverMajor: manifest.serverMajor, folder, manifest, controls });
}

/** Of an id: what is unique in it. The name of a session has at most 63 bytes. */
const LENGTH_OF_TIME = '20261121T034400Z-ab12cd'.length;

interface Filling {
  readonly id: string;
  readonly target: Target;
  readonly request: Request;
  readonly startedAt: Date;
}

/** Dumps and counts at the same time, in one snapshot, and returns the manifest of what lies in `folder` then. */
async function fill(folder: string, { id, target, request, startedAt }: Filling): Promise<Manifest> {
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
      const hasPasswords = await writeGlobals(folder, client, {
        ...facts,
        database,
        withoutPasswords: request.withoutPasswords,
      });
      const selection = await resolveSelection(client, request.selection);
      const sizes = contents === 'schema' ? [] : await sizesOf(client, await listTablesWithRows(client, selection));
      const format = request.format ?? (await fittingFormat(client));
      const application = `manage_db dump ${id.slice(0, LENGTH_OF_TIME)}`;
      const [tables, compression] = await together(
        controls.signal,
        (signal) =>
          contents === 'schema'
            ? listTablesWithoutRows(client, selection)
            : countTableRows(client, { selection, signal, withChecksums: request.isProven }),
        (signal) =>
          withDumpProgress({ settings, tables: sizes, application, onProgress: controls.onProgress }, (onProgress) =>
            dumpDatabase({
              onProgress,
              signal,
              tools,
              settings: { ...settings, applicationName: application },
              folder,
              format,
              contents,
              selection,
              compression: wanted,
              encoding: facts.properties.encoding,
              jobs,
              snapshot: snapshotId,
              lockTimeoutMs: LOCK_TIMEOUT_MS,
            }),
          ),
      );
      return {
        ...facts,
        format,
        toolVersion: tools.version,
        snapshot: snapshotId,
        compression,
        selection,
        hasPasswords,
        tables,
      };
    },
  );
  const files = await sealFiles(folder, controls);
  stopIfAborted(controls.signal);
  const times = {
    createdAt: startedAt.toISOString(),
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
  };
  const { selection, hasPasswords, ...facts } = counted;
  const leftOut = [...LEFT_OUT[contents], ...(hasPasswords ? [] : ['role passwords']), ...leftOutOf(selection)];
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
    encryption: null,
    ...facts,
    files,
    leftOut,
  };
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
