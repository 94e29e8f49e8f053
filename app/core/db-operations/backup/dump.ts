import { join } from 'node:path';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { type ClientTools, dumpSingleFile, runClientTool } from '../../../services/client-tools.js';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { BackupFormat, Manifest } from './manifest.js';
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
  readonly jobs: number;
  readonly snapshot: string;
  readonly lockTimeoutMs: number;
}

/**
 * Runs pg_dump on an exported snapshot. Returns the compression, as the manifest has it.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED`, `LOCK_TIMEOUT`, `INTERRUPTED`
 */
export async function dumpDatabase(request: DumpRequest): Promise<string> {
  try {
    if (request.format === 'plain') return await dumpPlain(request);
    return await dumpArchive(request, bestCompression(request.tools));
  } catch (error) {
    const text = error instanceof ManageDbError ? String(error.details.stderr ?? error.message) : '';
    if (isWithoutZstd(text)) return dumpArchive(request, 'gzip:1');
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
  snapshot,
  lockTimeoutMs,
  signal,
}: DumpRequest): Promise<string> {
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
    },
  });
  return 'none';
}

async function dumpArchive(request: DumpRequest, compression: string): Promise<string> {
  const { tools, settings, folder, format, contents, jobs, snapshot, lockTimeoutMs, signal, onProgress } = request;
  const args = [
    `--format=${format}`,
    `--file=${join(folder, DUMP_NAMES[format])}`,
    `--snapshot=${snapshot}`,
    `--lock-wait-timeout=${lockTimeoutMs}`,
    // before pg_dump 16, `--compress` takes a level of gzip and no method
    `--compress=${tools.major >= 16 ? compression : compression.replace('gzip:', '')}`,
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

/** zstd came with pg_dump 16. */
function bestCompression({ major }: ClientTools): string {
  return major >= 16 ? 'zstd:1' : 'gzip:1';
}

/** A build without the library says so before it has written anything. */
function isWithoutZstd(stderr: string): boolean {
  return /does not support compression with zstd/i.test(stderr);
}
