import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { type ClientTools, runClientTool } from '../../../services/client-tools.js';
import { withTemporaryFile } from '../../../services/work-folder.js';
import type { OperationControls } from '../../progress.js';
import { DUMP_NAMES } from './dump.js';
import { isOfLeftOutExtension, type LeftOutParts, leavingOut } from './left-out-parts.js';
import type { Manifest } from './manifest.js';
import { filterPlainDump } from './plain-dump-filter.js';
import { tableProgress } from './table-progress.js';
import { together } from './together.js';

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

/** What pg_dump, pg_restore and psql 17 and newer set first of all, and servers before 17 do not know. */
export const UNKNOWN_SETTING = 'SET transaction_timeout = 0;';
export const FIRST_MAJOR_THAT_KNOWS_IT = 17;

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
 * failed and why, a line for each.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED` for what is not about single objects, `INTERRUPTED`
 */
export async function loadSchema(request: Wanted): Promise<string[]> {
  const { tools, settings, database, folder, manifest, parts, signal } = request;
  const failures = new FailedObjects();
  await withListOfWanted(request, async (list) => {
    const args = [
      `--dbname=${database}`,
      `--use-list=${list}`,
      '--schema-only',
      // without it nothing says which object an error is about
      '--verbose',
      ...leavingOut(parts),
      join(folder, DUMP_NAMES[manifest.format]),
    ];
    await runClientTool(tools.pgRestore, args, {
      settings,
      database,
      signal,
      onStderr: (line) => failures.hear(line),
      isSuccess: (lines) => lines.some((line) => /errors ignored on restore: \d+$/.test(line)),
    });
  });
  return failures.list();
}

async function loadArchive(request: LoadRequest): Promise<void> {
  const restore = request.searchPath === undefined ? restoreArchive : restoreAsText;
  await withListOfWanted(request, (list) => restore(request, list));
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
  const lines = stdout.split('\n');
  const isOurGrant = (line: string) => OUR_GRANT.test(line);
  return lines.filter((line) => !isOurGrant(line) && !isOfLeftOutExtension(line, parts)).join('\n');
}

/** Of a schema that is called `manage_db x`, the kind of object does not come right behind. */
const OUR_GRANT = /^\d+; \d+ \d+ ACL (manage_db (TABLE|COLUMN|SEQUENCE|FUNCTION|PROCEDURE|TYPE)|- SCHEMA manage_db) /;

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
  const isNewerTool = tools.major >= FIRST_MAJOR_THAT_KNOWS_IT && serverMajor < FIRST_MAJOR_THAT_KNOWS_IT;
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
      if (ABOUT_ERRORS.test(line)) aboutErrors.push(line);
      progress(line);
    },
  });
}

async function restoreAsText(request: LoadRequest, list: string): Promise<void> {
  const { tools, settings, database, folder, manifest, parts, signal } = request;
  const args = [`--use-list=${list}`, ...leavingOut(parts), '--file=-', join(folder, DUMP_NAMES[manifest.format])];
  const text = new PassThrough();
  await together(
    signal,
    (either) => runText({ ...request, signal: either }, text),
    (either) => runClientTool(tools.pgRestore, args, { settings, database, signal: either, stdout: text }),
  );
}

const ABOUT_ERRORS = /Command was: SET transaction_timeout|errors ignored on restore: /;

/** Whether every error that pg_restore counted came from {@link UNKNOWN_SETTING}. */
export function failedOnlyOnUnknownSetting(lines: readonly string[]): boolean {
  const counted = lines
    .map((line) => /errors ignored on restore: (\d+)$/.exec(line)?.[1])
    .find((count) => count !== undefined);
  const expected = lines.filter((line) => line.endsWith(`Command was: ${UNKNOWN_SETTING}`)).length;
  return counted !== undefined && expected === Number(counted);
}

/** Puts together what pg_restore says in several lines: which object it is about, and its first error. */
class FailedObjects {
  private readonly failures = new Map<string, string>();
  private object = '';

  hear(line: string): void {
    this.object = /from TOC entry \d+; \d+ \d+ (.*)$/.exec(line)?.[1] ?? this.object;
    const error = /^pg_restore: error: could not execute query: ERROR: +(.*)$/.exec(line)?.[1];
    if (error !== undefined && !this.failures.has(this.object)) this.failures.set(this.object, error);
    // comes before the first object, and is no failure
    if (line.endsWith(`Command was: ${UNKNOWN_SETTING}`)) this.failures.delete(this.object);
  }

  list(): string[] {
    return [...this.failures].map(([object, error]) => (object === '' ? error : `${object}: ${error}`));
  }
}

async function loadPlain(request: LoadRequest): Promise<void> {
  const dump = createReadStream(join(request.folder, DUMP_NAMES[request.manifest.format]));
  try {
    await runText(request, dump);
  } finally {
    dump.destroy();
  }
}

async function runText(
  { tools, serverMajor, settings, database, searchPath, signal }: LoadRequest,
  dump: Readable,
): Promise<void> {
  const unknownStatement = serverMajor < FIRST_MAJOR_THAT_KNOWS_IT ? UNKNOWN_SETTING : null;
  const args = ['--set=ON_ERROR_STOP=1', '--quiet', '--output=/dev/null', '--file=-'];
  const stdin = Readable.from(filterPlainDump(dump, { unknownStatement, searchPath: searchPath ?? null }));
  await runClientTool(tools.psql, args, { settings, database, signal, stdin });
}
