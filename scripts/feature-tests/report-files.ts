import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readSync,
  realpathSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ManageDbError, messageOf } from '../../app/core/errors.js';
import { makeFolder, writeFileAtomically } from '../../app/core/files.js';

export interface ReportFiles {
  readonly jsonFile?: string;
  readonly junit?: string;
}

/**
 * To be asked before anything is tested. An existing file is replaced by a report only where it is an earlier one.
 *
 * @throws ManageDbError `USAGE`, `UNREADABLE_FILE`
 */
export function refuseReportFiles(files: ReportFiles): void {
  refuseOneFileForBoth(files);
  for (const path of [files.jsonFile, files.junit]) if (path !== undefined) refuseUnfit(path);
}

/**
 * Replaces a file as a whole, where a link leads to as well, and writes into what is no file (a pipe, a device).
 *
 * @throws ManageDbError `UNREADABLE_FILE`
 */
export function writeReportFile(path: string, text: string): void {
  try {
    const file = placeOf(path);
    if (isOtherThanFile(statSync(file, { throwIfNoEntry: false }))) writeFileSync(file, text);
    else writeFileAtomically(file, text);
  } catch (error) {
    throw unwritable(path, error);
  }
}

function refuseOneFileForBoth({ jsonFile, junit }: ReportFiles): void {
  if (jsonFile === undefined || junit === undefined || !isSameFile(jsonFile, junit)) return;
  throw new ManageDbError('USAGE', `--json and --junit both name ${junit}: one report would replace the other.`, {
    hint: 'Give each a file of its own: --json features.json --junit features.xml',
  });
}

/** Also where one of them is a link, or the folder of one is. */
function isSameFile(one: string, other: string): boolean {
  return placeOf(one) === placeOf(other);
}

/** Where `path` leads to. */
function placeOf(path: string): string {
  const file = resolve(path);
  if (existsSync(file)) return realpathSync(file);
  return existsSync(dirname(file)) ? join(realpathSync(dirname(file)), basename(file)) : file;
}

function refuseUnfit(path: string): void {
  try {
    const file = placeOf(path);
    const found = statSync(file, { throwIfNoEntry: false });
    if (found?.isDirectory()) throw new Error('it is a folder');
    if (!isOtherThanFile(found)) makeFolder(dirname(file));
    accessSync(isOtherThanFile(found) ? file : dirname(file), constants.W_OK);
    if (!found?.isFile() || found.size === 0 || isReport(file)) return;
  } catch (error) {
    throw unwritable(path, error);
  }
  throw new ManageDbError('USAGE', `${path} is there, and is no report of feature tests: it is not replaced.`, {
    hint: 'Name another file, or move this one away.',
  });
}

const BEGINNINGS = [/^\{\s*"version": \d+,\s*"manageDbVersion":/, /^<\?xml [^>]*>\s*<testsuites name="manage_db"/];

function isReport(file: string): boolean {
  const opened = openSync(file, 'r');
  try {
    const beginning = Buffer.alloc(200);
    const length = readSync(opened, beginning);
    return BEGINNINGS.some((pattern) => pattern.test(beginning.toString('utf8', 0, length)));
  } finally {
    closeSync(opened);
  }
}

function isOtherThanFile(found: Stats | undefined): boolean {
  return found !== undefined && !found.isFile();
}

function unwritable(path: string, cause: unknown): ManageDbError {
  return new ManageDbError('UNREADABLE_FILE', `The report cannot be written to ${path}: ${messageOf(cause)}.`, {
    hint: 'Name a file in a folder that you may write to.',
    cause,
  });
}
