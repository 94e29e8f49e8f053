import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, type Writable } from 'node:stream';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import { type ClientTools, dumpSingleFile, runClientTool } from '../../../../services/client-tools.js';
import { ManageDbError } from '../../../errors.js';
import type { OperationControls } from '../../../progress.js';
import { together } from '../../database-state/together.js';
import type { BackupFormat, Manifest, ManifestFile } from '../../manifest/manifest.js';
import { patternsOf, type Selection } from '../../manifest/selection.js';
import { type Deposit, put, putFolder } from '../deposit.js';
import { bestCompression, compressArgument, FAST_GZIP, isWithoutMethod, withoutMethod } from './compression.js';
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
  /** Where one file goes as it comes, without lying in `folder` before. */
  readonly deposit: Deposit | null;
  readonly format: BackupFormat;
  readonly contents: Manifest['contents'];
  readonly selection: Selection;
  /** As `--compress` takes it; `null`: the best that there is. */
  readonly compression: string | null;
  readonly jobs: number;
  /** Of the database, as PostgreSQL names it. */
  readonly encoding: string;
  readonly snapshot: string;
  readonly lockTimeoutMs: number;
  /** Of the tables that are dumped, where that is known. */
  readonly tableBytes: number;
  /** Further ones of pg_dump, for archives. */
  readonly options?: readonly string[];
}

export interface Dumped {
  /** As the manifest has it. */
  readonly compression: string;
  /** What was stored elsewhere. */
  readonly files: readonly ManifestFile[];
}

/**
 * Runs pg_dump on an exported snapshot.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED`, `LOCK_TIMEOUT`, `INTERRUPTED`, `USAGE` for a compression that this pg_dump does
 *   not have, `STORAGE_FAILED`
 */
export async function dumpDatabase(request: DumpRequest): Promise<Dumped> {
  const encoding = WITHOUT_CONVERSION.includes(request.encoding) ? request.encoding : 'UTF8';
  try {
    return await dumpAs(request, encoding);
  } catch (error) {
    const text = saidBy(error);
    // bytes that the encoding does not define can be kept, but not converted
    if (NOT_CONVERTIBLE.test(text) && encoding !== request.encoding) {
      await rm(join(request.folder, DUMP_NAMES[request.format]), { recursive: true, force: true });
      return dumpAs(request, request.encoding);
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

/** There is no conversion of these; as they are, nothing is converted. */
const WITHOUT_CONVERSION = ['SQL_ASCII', 'MULE_INTERNAL'];

const NOT_CONVERTIBLE = /has no equivalent in encoding|invalid byte sequence for encoding/;

async function dumpAs(request: DumpRequest, encoding: string): Promise<Dumped> {
  const { compression, tools, format } = request;
  const best = format === 'plain' ? 'none' : bestCompression(tools);
  try {
    return await dump(request, { encoding, compression: compression ?? best });
  } catch (error) {
    if (!isWithoutMethod(saidBy(error))) throw error;
    if (compression !== null) throw withoutMethod(compression, error);
    return dump(request, { encoding, compression: FAST_GZIP });
  }
}

function saidBy(error: unknown): string {
  return error instanceof ManageDbError ? String(error.details.stderr ?? error.message) : '';
}

interface How {
  readonly encoding: string;
  readonly compression: string;
}

async function dump(request: DumpRequest, how: How): Promise<Dumped> {
  const { format, folder, deposit } = request;
  const { compression } = how;
  // pg_dump is not told to be verbose there: its tables show only where the server is asked
  if (format === 'plain') request.onProgress?.({ step: 'dumping into one file' });
  if (deposit !== null && format !== 'directory') return dumpThrough(request, how, deposit);
  if (format === 'plain') await dumpPlain(request, how);
  else await runDump(request, how, { args: [`--file=${join(folder, DUMP_NAMES[format])}`] });
  if (deposit === null) return { compression, files: [] };
  return { compression, files: await putFolder(deposit, { folder, name: DUMP_NAMES[format] }, request) };
}

/** One file, encrypted and stored as it comes: it lies nowhere in between. */
async function dumpThrough(request: DumpRequest, how: How, deposit: Deposit): Promise<Dumped> {
  const content = new PassThrough({ highWaterMark: 1 << 18 });
  const [, file] = await together(
    request.signal,
    (signal) => runDump({ ...request, signal }, how, { args: [], stdout: content }),
    (signal) => put(deposit, DUMP_NAMES[request.format], content, { signal, expectedBytes: request.tableBytes }),
  );
  return { compression: how.compression, files: [file] };
}

/** One file without compression: what people open in an editor or hand to psql. */
async function dumpPlain(request: DumpRequest, { encoding }: How): Promise<void> {
  const { tools, settings, folder, format, contents, selection, snapshot, lockTimeoutMs, signal } = request;
  const { schemas, tables, excludedData } = patternsOf(selection);
  await dumpSingleFile(tools.pgDump, {
    settings,
    signal,
    filePath: join(folder, DUMP_NAMES[format]),
    format: 'plain',
    options: {
      encoding,
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
}

async function runDump(
  request: DumpRequest,
  { encoding, compression }: How,
  output: { readonly args: readonly string[]; readonly stdout?: Writable },
): Promise<void> {
  const { schemas, tables, excludedData } = patternsOf(request.selection);
  const { tools, settings, format, contents, jobs, snapshot, lockTimeoutMs, signal, onProgress } = request;
  const args = [
    `--format=${format}`,
    ...output.args,
    `--encoding=${encoding}`,
    `--snapshot=${snapshot}`,
    `--lock-wait-timeout=${lockTimeoutMs}`,
    ...(format === 'plain' ? [] : [`--compress=${compressArgument(compression, tools)}`]),
    '--strict-names',
    ...schemas.map((pattern) => `--schema=${pattern}`),
    ...tables.map((pattern) => `--table=${pattern}`),
    ...excludedData.map((pattern) => `--exclude-table-data=${pattern}`),
    ...(format === 'plain' ? [] : ['--verbose']),
    ...(format === 'directory' ? [`--jobs=${jobs}`] : []),
    ...(contents === 'schema' ? ['--schema-only'] : []),
    ...(contents === 'data' ? ['--data-only'] : []),
    ...(request.options ?? []),
  ];
  await runClientTool(tools.pgDump, args, {
    settings,
    signal,
    ...(output.stdout === undefined ? {} : { stdout: output.stdout }),
    onStderr: tableProgress({ onProgress, verb: 'dumping', jobs: format === 'directory' ? jobs : 1 }),
  });
}
