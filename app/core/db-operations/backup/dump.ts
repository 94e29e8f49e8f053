import { join } from 'node:path';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { type ClientTools, dumpSingleFile, runClientTool } from '../../../services/client-tools.js';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import { bestCompression, compressArgument, FAST_GZIP, isWithoutMethod, withoutMethod } from './compression.js';
import type { BackupFormat, Manifest } from './manifest.js';
import { patternsOf, type Selection } from './selection.js';
import { tableProgress } from './table-progress.js';

/** The dump's name in the backup's folder. */
export const DUMP_NAMES = {
  directory: 'dump',
  custom: 'dump.pgdump',
  plain: 'dump.sql',
} as const satisfies Record<BackupFormat, string>;

export interface DumpRequest extends OperationControls {
  readonly tools: ClientTools;
  readonly settings: ConnectionSettings;
  readonly folder: string;
  readonly format: BackupFormat;
  readonly contents: Manifest['contents'];
  readonly selection: Selection;
  /** As `--compress` takes it; `null`: the best that there is. */
  readonly compression: string | null;
  readonly jobs: number;
  readonly snapshot: string;
  readonly lockTimeoutMs: number;
}

/**
 * Runs pg_dump on an exported snapshot. Returns the compression, as the manifest has it.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED`, `LOCK_TIMEOUT`, `INTERRUPTED`, `USAGE` for a compression that this pg_dump does not have
 */
export async function dumpDatabase(request: DumpRequest): Promise<string> {
  try {
    if (request.format === 'plain') {
      // pg_dump is not told to be verbose there: its tables show only where the server is asked
      request.onProgress?.({ step: 'dumping into one file' });
      return await dumpPlain(request);
    }
    return await dumpArchive(request, request.compression ?? bestCompression(request.tools));
  } catch (error) {
    const text = error instanceof ManageDbError ? String(error.details.stderr ?? error.message) : '';
    if (isWithoutMethod(text)) {
      if (request.compression !== null) throw withoutMethod(request.compression, error);
      return dumpArchive(request, FAST_GZIP);
    }
    if (!/lock table/i.test(text) || !/timeout/i.test(text)) throw error;
    const seconds = request.lockTimeoutMs / 1000;
    throw new ManageDbError(
      'LOCK_TIMEOUT',
      `pg_dump waited ${seconds} s for a table that another session has locked.`,
      {
        hint: 'Try again when the ALTER TABLE, TRUNCATE, VACUUM FULL or the like that holds it has ended.',
        cause: error,
      },
    );
  }
}

/** One file without compression: what people open in an editor or hand to psql. */
async function dumpPlain({
  tools,
  settings,
  folder,
  format,
  contents,
  selection,
  snapshot,
  lockTimeoutMs,
  signal,
}: DumpRequest): Promise<string> {
  const { schemas, tables, excludedData } = patternsOf(selection);
  await dumpSingleFile(tools.pgDump, {
    settings,
    signal,
    filePath: join(folder, DUMP_NAMES[format]),
    format: 'plain',
    options: {
      snapshotName: snapshot,
      lockWaitTimeout: lockTimeoutMs,
      schemaOnly: contents === 'schema',
      dataOnly: contents === 'data',
      schemaPattern: schemas,
      tablePattern: tables,
      excludeTableDataPattern: excludedData,
      strictNames: true,
    },
  });
  return 'none';
}

async function dumpArchive(request: DumpRequest, compression: string): Promise<string> {
  const { schemas, tables, excludedData } = patternsOf(request.selection);
  const { tools, settings, folder, format, contents, jobs, snapshot, lockTimeoutMs, signal, onProgress } = request;
  const args = [
    `--format=${format}`,
    `--file=${join(folder, DUMP_NAMES[format])}`,
    `--snapshot=${snapshot}`,
    `--lock-wait-timeout=${lockTimeoutMs}`,
    `--compress=${compressArgument(compression, tools)}`,
    '--strict-names',
    ...schemas.map((pattern) => `--schema=${pattern}`),
    ...tables.map((pattern) => `--table=${pattern}`),
    ...excludedData.map((pattern) => `--exclude-table-data=${pattern}`),
    '--verbose',
    ...(format === 'directory' ? [`--jobs=${jobs}`] : []),
    ...(contents === 'schema' ? ['--schema-only'] : []),
    ...(contents === 'data' ? ['--data-only'] : []),
  ];
  await runClientTool(tools.pgDump, args, {
    settings,
    signal,
    onStderr: tableProgress({ onProgress, verb: 'dumping', jobs: format === 'directory' ? jobs : 1 }),
  });
  return compression;
}
