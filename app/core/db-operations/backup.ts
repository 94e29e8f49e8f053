import { availableParallelism } from 'node:os';
import type { QueryResultRow } from 'pg';
import { getWorkspace } from '../../config/workspace.js';
import { readDatabaseFacts } from '../../database/catalog/database-facts.js';
import { readExtensions } from '../../database/catalog/extensions.js';
import type { Queryable } from '../../database/queryable.js';
import { findClientTools } from '../../services/client-tools.js';
import { ManageDbError } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { sealFiles } from './backup/backup-files.js';
import { makeBackup } from './backup/backup-folder.js';
import { readDatabaseProperties } from './backup/database-properties.js';
import { dumpDatabase } from './backup/dump.js';
import { BACKUP_FORMATS, type BackupFormat, MANIFEST_VERSION, type Manifest } from './backup/manifest.js';
import { withSnapshot } from './backup/snapshot.js';
import { sweepPartials } from './backup/sweep-partials.js';
import { countTableRows, listTablesWithoutRows } from './backup/table-rows.js';
import { together } from './backup/together.js';
import { explained, stopIfAborted } from './failure.js';

export { type BackupState, type BackupSummary, type BackupVerification, listBackups } from './backup/backup-list.js';
export type { BackupFormat, Manifest } from './backup/manifest.js';

export interface BackupOptions extends OperationOptions {
  /** A few words that say what it is for; a part of the id. */
  readonly label?: string | undefined;
  /** `directory` by default: the only one that is written in parallel. */
  readonly format?: BackupFormat | undefined;
  readonly schemaOnly?: boolean | undefined;
  readonly dataOnly?: boolean | undefined;
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
 * @throws ManageDbError `USAGE`, `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `LOCK_TIMEOUT`, `INTERRUPTED`, and what
 *   the gate and connecting throw
 * @example const { id } = await backupDatabase({ env: 'development', label: 'before the upgrade' });
 */
export async function backupDatabase(options: BackupOptions = {}): Promise<BackupResult> {
  const request = checked(options);
  return guarded('create-backup', options, (target) => createBackup(target, request));
}

type Request = ReturnType<typeof checked>;

function checked({ format = 'directory', schemaOnly, dataOnly, jobs, label, signal, onProgress }: BackupOptions) {
  const refuse = (message: string) =>
    new ManageDbError('USAGE', message, { hint: 'See: manage_db create-backup --help' });
  if (!BACKUP_FORMATS.includes(format)) throw refuse(`A backup is ${BACKUP_FORMATS.join(', ')}, not ${format}.`);
  if (schemaOnly && dataOnly)
    throw refuse('A backup holds the schema only, or the data only, or both: not --schema-only --data-only.');
  if (jobs !== undefined && (!Number.isInteger(jobs) || jobs < 1))
    throw refuse(`--jobs takes a number from 1, not ${jobs}.`);
  if (jobs !== undefined && jobs > 1 && format !== 'directory') {
    throw refuse(`Only the directory format is written in parallel: leave out --jobs or --format ${format}.`);
  }
  if (label !== undefined && label.length > LONGEST_LABEL)
    throw refuse(`A label has at most ${LONGEST_LABEL} characters.`);
  const contents: Manifest['contents'] = schemaOnly ? 'schema' : dataOnly ? 'data' : 'all';
  return {
    format,
    contents,
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
    );
    const sizeBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    return { id: manifest.id, path, sizeBytes, durationMs: Date.now() - startedAt.getTime(), manifest };
  } catch (error) {
    throw explained(error, 'No backup was made, and nothing of it was left behind.', request.controls.signal);
  }
}

interface Filling {
  readonly id: string;
  readonly target: Target;
  readonly request: Request;
  readonly startedAt: Date;
}

/** Dumps and counts at the same time, in one snapshot, and returns the manifest of what lies in `folder` then. */
async function fill(folder: string, { id, target, request, startedAt }: Filling): Promise<Manifest> {
  const { settings, environment, database, host, port } = target;
  const { controls, contents, format, jobs, label } = request;
  const counted = await withSnapshot(
    settings,
    { lockTimeoutMs: LOCK_TIMEOUT_MS, signal: controls.signal },
    async (snapshot) => {
      const { client, id: snapshotId } = snapshot;
      const { serverVersion, serverMajor } = await readDatabaseFacts(client);
      const tools = await findClientTools({ serverMajor, binDir: settings.pgBinDir });
      const facts = {
        serverVersion,
        serverMajor,
        toolVersion: tools.version,
        snapshot: snapshotId,
        extensions: [...(await readExtensions(client))],
        properties: await propertiesOf(client, database),
        migrationHead: await readMigrationHead(client),
      };
      const [tables] = await together(
        controls.signal,
        (signal) => (contents === 'schema' ? listTablesWithoutRows(client) : countTableRows(client, { signal })),
        (signal) =>
          dumpDatabase({
            ...controls,
            signal,
            tools,
            settings,
            folder,
            format,
            contents,
            jobs,
            snapshot: snapshotId,
            lockTimeoutMs: LOCK_TIMEOUT_MS,
          }),
      );
      return { ...facts, tables };
    },
  );
  const files = await sealFiles(folder, controls);
  stopIfAborted(controls.signal);
  const times = {
    createdAt: startedAt.toISOString(),
    startedAt: startedAt.toISOString(),
    finishedAt: new Date().toISOString(),
  };
  const leftOut = LEFT_OUT[contents];
  return {
    version: MANIFEST_VERSION,
    id,
    label,
    environment,
    database,
    host,
    port,
    ...times,
    format,
    contents,
    ...counted,
    files,
    leftOut,
  };
}

/** Roles and tablespaces belong to the server: no dump of one database has them. */
const LEFT_OUT: Record<Manifest['contents'], string[]> = {
  all: ['roles', 'tablespaces'],
  schema: ['roles', 'tablespaces', 'rows', 'large objects'],
  data: ['roles', 'tablespaces', 'definitions'],
};

async function propertiesOf(db: Queryable, database: string): Promise<Manifest['properties']> {
  const properties = await readDatabaseProperties(db, database);
  if (properties === null) throw new ManageDbError('DATABASE_MISSING', `${database} is not in pg_database.`);
  return properties;
}

/** The newest migration, where manage_db's own table is there and may be read: a failed statement would end the snapshot. */
async function readMigrationHead(db: Queryable): Promise<string | null> {
  const { rows: readable } = await db.query(MIGRATIONS_READABLE);
  if (readable.length === 0) return null;
  const { rows } = await db.query<QueryResultRow & { version: string | null }>(
    'select max(version::text) as version from manage_db.migrations',
  );
  return rows[0]?.version ?? null;
}

/** By oid: the functions that take a name fail where there is no such schema. */
const MIGRATIONS_READABLE = `
  select
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = c.oid
  where n.nspname = 'manage_db' and c.relname = 'migrations' and a.attname = 'version' and not a.attisdropped
    and pg_catalog.has_schema_privilege(n.oid, 'usage')
    and pg_catalog.has_table_privilege(c.oid, 'select')`;
