import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { type ClientTools, runClientTool } from '../../../services/client-tools.js';
import { withTemporaryFile } from '../../../services/work-folder.js';
import type { OperationControls } from '../../progress.js';
import { type Entry, parseContents, useList } from './contents.js';
import { DUMP_NAMES } from './dump.js';
import { type FailedObject, FailedObjects } from './failed-objects.js';
import { isOfLeftOutExtension, type LeftOutParts, leavingOut } from './left-out-parts.js';
import type { Manifest } from './manifest.js';
import { filterPlainDump } from './plain-dump-filter.js';
import { tableProgress } from './table-progress.js';
import { together } from './together.js';
import {
  failedOnlyOnUnknownSetting,
  isAboutErrors,
  setsUnknownSetting,
  unknownStatementFor,
} from './unknown-setting.js';

export interface LoadRequest extends OperationControls {
  readonly tools: ClientTools;
  readonly settings: ConnectionSettings;
  readonly serverMajor: number;
  /** The empty database to load into. */
  readonly database: string;
  readonly folder: string;
  readonly manifest: Manifest;
  readonly jobs: number;
  readonly parts: LeftOutParts;
  /**
   * Instead of an empty one: for what calls functions that rely on it. Tables come one after the other then, since pg_restore
   * cannot be told.
   */
  readonly searchPath?: string;
}

/**
 * Loads a dump into an empty database; any error of the tools is a failure.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED`, `INTERRUPTED`
 */
export async function loadDump(request: LoadRequest): Promise<void> {
  await (request.manifest.format === 'plain' ? loadPlain(request) : loadArchive(request));
}

type Wanted = Omit<LoadRequest, 'jobs' | 'onProgress'>;

/**
 * Loads the definitions of an archive into an empty database, without a row, and goes on after what fails. Returns what
 * failed.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED` for what is not about single objects, `INTERRUPTED`
 */
export async function loadSchema(request: Wanted): Promise<FailedObject[]> {
  const failures = new FailedObjects();
  await withListOfWanted(request, (list) => restoreAsText(request, ['--schema-only', `--use-list=${list}`], failures));
  return failures.list();
}

async function loadArchive(request: LoadRequest): Promise<void> {
  await withListOfWanted(request, (list) =>
    request.searchPath === undefined
      ? restoreArchive(request, list)
      : restoreAsText(request, [`--use-list=${list}`], null),
  );
}

async function withListOfWanted(request: Wanted, work: (list: string) => Promise<void>): Promise<void> {
  await withTemporaryFile('list', await listOfWanted(request), work);
}

/**
 * The table of contents without what is left out, and without the grants in the schema manage_db: they name roles that this server need not have, and
 * they are made anew for the database that it becomes.
 */
async function listOfWanted({ tools, settings, database, folder, manifest, parts, signal }: Wanted) {
  const args = ['--list', join(folder, DUMP_NAMES[manifest.format])];
  const { stdout } = await runClientTool(tools.pgRestore, args, { settings, database, signal });
  return useList(parseContents(stdout).filter((entry) => !isOurGrant(entry) && !isOfLeftOutExtension(entry, parts)));
}

/** Of a schema that is called `manage_db x`, the kind of object does not come right behind. */
function isOurGrant({ kind, said }: Entry): boolean {
  const ours = /^(manage_db (TABLE|COLUMN|SEQUENCE|FUNCTION|PROCEDURE|TYPE)|- SCHEMA manage_db) /;
  return kind === 'ACL' && ours.test(said);
}

/**
 * In two runs, the rows before what comes after them: pg_restore with jobs makes the triggers of a partitioned table while
 * rows are still loaded into its partitions, and they fire. Grants come last, as in one run: who has taken rights
 * from itself could make no foreign key any more.
 */
async function restoreArchive(request: LoadRequest, list: string): Promise<void> {
  await runPgRestore(request, ['--section=pre-data', '--section=data', '--no-privileges', `--use-list=${list}`]);
  await withTemporaryFile('list', await listOfRest(request, list), (rest) =>
    runPgRestore(request, [`--use-list=${rest}`]),
  );
}

/** Of a list: what comes after the rows, and all grants. */
async function listOfRest({ tools, settings, database, folder, manifest, signal }: LoadRequest, list: string) {
  const args = ['--list', '--section=post-data', join(folder, DUMP_NAMES[manifest.format])];
  const { stdout } = await runClientTool(tools.pgRestore, args, { settings, database, signal });
  const after = new Set(stdout.split('\n'));
  const wanted = (await readFile(list, 'utf8')).split('\n');
  return wanted.filter((line) => after.has(line) || GRANT.test(line)).join('\n');
}

const GRANT = /^\d+; \d+ \d+ (DEFAULT )?ACL /;

async function runPgRestore(request: LoadRequest, which: readonly string[]): Promise<void> {
  const { tools, serverMajor, settings, database, folder, manifest, jobs, parts, signal, onProgress } = request;
  const isNewerTool = setsUnknownSetting(tools.major, serverMajor);
  const args = [
    `--dbname=${database}`,
    `--jobs=${jobs}`,
    ...which,
    ...leavingOut(parts),
    '--verbose',
    // newer tools must be let past the one statement that cannot work; every other error still fails
    ...(isNewerTool ? [] : ['--exit-on-error']),
    join(folder, DUMP_NAMES[manifest.format]),
  ];
  const progress = tableProgress({ onProgress, verb: 'restoring', jobs, total: manifest.tables.length });
  // said first of all, when only the last of many lines are known in the end
  const aboutErrors: string[] = [];
  await runClientTool(tools.pgRestore, args, {
    settings,
    database,
    signal,
    ...(isNewerTool ? { isSuccess: () => failedOnlyOnUnknownSetting(aboutErrors) } : {}),
    onStderr: (line) => {
      if (isAboutErrors(line)) aboutErrors.push(line);
      progress(line);
    },
  });
}

/** With `failures` it goes on after what fails. */
async function restoreAsText(
  request: Wanted,
  choice: readonly string[],
  failures: FailedObjects | null,
): Promise<void> {
  const { tools, settings, database, folder, manifest, parts, signal } = request;
  const args = [...choice, ...leavingOut(parts), '--file=-', join(folder, DUMP_NAMES[manifest.format])];
  const text = new PassThrough();
  await together(
    signal,
    (either) => runText({ ...request, signal: either }, text, failures),
    (either) => runClientTool(tools.pgRestore, args, { settings, database, signal: either, stdout: text }),
  );
}

async function loadPlain(request: LoadRequest): Promise<void> {
  const dump = createReadStream(join(request.folder, DUMP_NAMES[request.manifest.format]));
  try {
    await runText(request, dump, null);
  } finally {
    dump.destroy();
  }
}

async function runText(
  { tools, serverMajor, settings, database, searchPath, signal }: Wanted,
  dump: Readable,
  failures: FailedObjects | null,
): Promise<void> {
  const filter = { unknownStatement: unknownStatementFor(serverMajor), searchPath: searchPath ?? null };
  const text = filterPlainDump(dump, filter);
  const stop = failures === null ? ['--set=ON_ERROR_STOP=1'] : [];
  await runClientTool(tools.psql, [...stop, '--quiet', '--output=/dev/null', '--file=-'], {
    settings,
    database,
    signal,
    stdin: Readable.from(failures === null ? text : failures.follow(text)),
    ...(failures === null ? {} : { onStderr: (line: string) => failures.hear(line) }),
  });
}
