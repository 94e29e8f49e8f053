import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import { type ClientTools, runClientTool, runOffline } from '../../../../services/client-tools.js';
import { withTemporaryFile } from '../../../../services/work-folder.js';
import { ManageDbError } from '../../../errors.js';
import type { OperationControls } from '../../../progress.js';
import { type Entry, parseContents, useList } from '../../database-state/contents.js';
import { together } from '../../database-state/together.js';
import type { Manifest } from '../../manifest/manifest.js';
import { isOfLeftOutExtension, type LeftOutParts, leavingOut } from '../left-out-parts.js';
import { textOfEntries } from './archive-text.js';
import { DUMP_NAMES } from './dump.js';
import { type FailedObject, FailedObjects } from './failed-objects.js';
import { filterPlainDump } from './plain-dump-filter.js';
import { tableProgress } from './table-progress.js';
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

/** The jobs of pg_restore were in each other's way: one of them was ended for the others, and the database is half filled. */
export class JobsDeadlocked extends ManageDbError {}

/**
 * Loads a dump into an empty database; any error of the tools is a failure.
 *
 * @throws JobsDeadlocked; ManageDbError `CLIENT_TOOL_FAILED`, `INTERRUPTED`
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
  await restoreAsText(request, { entries: await wantedIn(request), args: ['--schema-only'] }, failures);
  return failures.list();
}

async function loadArchive(request: LoadRequest): Promise<void> {
  const wanted = await wantedIn(request);
  if (request.searchPath === undefined) await restoreArchive(request, wanted);
  else await restoreAsText(request, { entries: wanted, args: [] }, null);
}

/** Runs `work` with the argument of pg_restore that chooses these entries. */
function withList(entries: readonly Entry[], work: (list: string) => Promise<void>): Promise<void> {
  return withTemporaryFile('list', useList(entries), (path) => work(`--use-list=${path}`));
}

/**
 * The table of contents without what is left out, and without the grants in the schema manage_db: they name roles that this server need not have, and
 * they are made anew for the database that it becomes.
 */
async function wantedIn(request: Wanted): Promise<Entry[]> {
  const entries = await contentsOf(request, []);
  return entries.filter((entry) => !isOurGrant(entry) && !isOfLeftOutExtension(entry, request.parts));
}

async function contentsOf({ tools, folder, manifest, signal }: Wanted, args: readonly string[]) {
  const path = join(folder, DUMP_NAMES[manifest.format]);
  const { environment } = manifest;
  const { stdout } = await runOffline(tools.pgRestore, ['--list', ...args, path], { environment, signal });
  return parseContents(stdout);
}

/** Whether it grants something in the schema manage_db. Of one that is called `manage_db x`, the kind does not come right behind. */
export function isOurGrant({ kind, said }: Entry): boolean {
  const ours = /^(manage_db (TABLE|COLUMN|SEQUENCE|FUNCTION|PROCEDURE|TYPE)|- SCHEMA manage_db) /;
  return kind === 'ACL' && ours.test(said);
}

/**
 * In two runs, the rows before what comes after them: pg_restore with jobs makes the triggers of a partitioned table while
 * rows are still loaded into its partitions, and they fire. Grants come last, as in one run: who has taken rights
 * from itself could make no foreign key any more.
 */
async function restoreArchive(request: LoadRequest, wanted: readonly Entry[]): Promise<void> {
  const after = new Set((await contentsOf(request, ['--section=post-data'])).map(({ id }) => id));
  const isLate = ({ id, kind }: Entry): boolean => after.has(id) || kind === 'ACL' || kind === 'DEFAULT ACL';
  for (const entries of [wanted.filter((entry) => !isLate(entry)), wanted.filter(isLate)]) {
    await withList(entries, (list) => runPgRestore(request, [list]));
  }
}

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
  let isDeadlocked = false;
  try {
    await runClientTool(tools.pgRestore, args, {
      settings,
      database,
      signal,
      ...(isNewerTool ? { isSuccess: () => failedOnlyOnUnknownSetting(aboutErrors) } : {}),
      onStderr: (line) => {
        if (isAboutErrors(line)) aboutErrors.push(line);
        if (DEADLOCK.test(line)) isDeadlocked = true;
        progress(line);
      },
    });
  } catch (error) {
    if (!isDeadlocked || !(error instanceof ManageDbError) || error.code !== 'CLIENT_TOOL_FAILED') throw error;
    throw new JobsDeadlocked(error.code, error.message, { details: error.details, cause: error });
  }
}

/** SQLSTATE 40P01, which pg_restore does not say. */
const DEADLOCK = /ERROR: +deadlock detected/;

/** With `failures` it goes on after what fails. */
async function restoreAsText(
  request: Wanted,
  { entries, args }: { readonly entries: readonly Entry[]; readonly args: readonly string[] },
  failures: FailedObjects | null,
): Promise<void> {
  const { tools, folder, manifest, parts, signal } = request;
  const archive = {
    ...{ pgRestore: tools.pgRestore, path: join(folder, DUMP_NAMES[manifest.format]), signal },
    ...{ environment: manifest.environment, args: [...args, ...leavingOut(parts)] },
  };
  const text = new PassThrough();
  await together(
    signal,
    (either) => runText({ ...request, signal: either }, text, failures),
    (either) => textOfEntries(archive, entries, { stdout: text, signal: either }),
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
