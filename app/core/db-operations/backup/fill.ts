import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { countLargeObjects } from '../../../database/catalog/database-objects.js';
import type { Queryable } from '../../../database/queryable.js';
import { findClientTools } from '../../../services/client-tools.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { describeDatabase } from '../database-state/database-description.js';
import { searchPathOf } from '../database-state/search-path.js';
import { withSnapshot } from '../database-state/snapshot.js';
import { countTableRows, listTablesWithoutRows, listTablesWithRows } from '../database-state/table-rows.js';
import { together } from '../database-state/together.js';
import { type BackupFormat, MANIFEST_VERSION, type Manifest, type ManifestFile } from '../manifest/manifest.js';
import { leftOutOf, resolveSelection } from '../manifest/selection.js';
import { type Deposit, put, putKey } from './deposit.js';
import { dumpDatabase } from './dump/dump.js';
import { sizesOf, withDumpProgress } from './dump/dump-progress.js';
import { describeGlobals, GLOBALS_FILE, type GlobalsScript } from './globals.js';
import { requireScratchDatabases } from './prove.js';
import { sealFiles } from './repository/backup-files.js';
import type { BackupRequest } from './request.js';

/** Milliseconds that a dump waits for a table another session has locked; without a limit it would wait for ever. */
const LOCK_TIMEOUT_MS = 60_000;

/** Of an id: what is unique in it. The name of a session has at most 63 bytes. */
const LENGTH_OF_TIME = '20261121T034400Z-ab12cd'.length;

export interface Filling {
  readonly id: string;
  readonly target: Target;
  readonly request: BackupRequest;
  readonly startedAt: Date;
  readonly deposit: Deposit | null;
}

/** Dumps and counts at the same time, in one snapshot, and returns the manifest of what lies in `folder` then. */
export async function fillBackup(
  folder: string,
  { id, target, request, startedAt, deposit }: Filling,
): Promise<Manifest> {
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
  return (await countLargeObjects(db)) > MOST_FILES_OF_LARGE_OBJECTS ? 'custom' : 'directory';
}

const MOST_FILES_OF_LARGE_OBJECTS = 1000;

/** Roles and tablespaces belong to the server. Those roles that the database refers to are kept beside the dump. */
const LEFT_OUT: Record<Manifest['contents'], string[]> = {
  all: ['other roles', 'tablespaces'],
  schema: ['other roles', 'tablespaces', 'rows', 'large objects'],
  data: ['other roles', 'tablespaces', 'definitions'],
};
