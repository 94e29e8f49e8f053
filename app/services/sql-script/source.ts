import { readFileSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { ManageDbError, messageOf } from '../../core/errors.js';

/** A part of an SQL file, or the whole of it. */
export interface SqlSource {
  /** Absolute. */
  readonly path: string;
  readonly sql: string;
  /** The line of the file on which `sql` begins, from 1. */
  readonly firstLine: number;
}

/**
 * The text of an SQL file, without byte order mark and with LF line ends.
 *
 * @param mostBytes what is larger is refused
 * @throws ManageDbError `UNREADABLE_FILE`, also for what is no regular file, and for one in another encoding than UTF-8
 */
export function readSqlFile(path: string, mostBytes = Infinity): string {
  return decode(path, readBytes(path, mostBytes)).replaceAll('\r\n', '\n');
}

/** `path` as it is shown: from the current folder where it lies below that. */
export function shownPath(path: string): string {
  const fromHere = relative(process.cwd(), path) || '.';
  return fromHere.startsWith('..') ? path : fromHere;
}

function readBytes(path: string, mostBytes: number): Buffer {
  try {
    refuseOther(path, mostBytes);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof ManageDbError) throw error;
    throw new ManageDbError('UNREADABLE_FILE', `${shownPath(path)} cannot be read: ${messageOf(error)}.`, {
      hint: 'Check the name of the file and its permissions.',
      cause: error,
    });
  }
}

/** A device may have no end. */
function refuseOther(path: string, mostBytes: number): void {
  const stats = statSync(path);
  if (!stats.isFile()) {
    const what = stats.isDirectory() ? 'a folder' : 'no regular file';
    throw new ManageDbError('UNREADABLE_FILE', `${shownPath(path)} is ${what}, and no SQL file.`, {
      hint: 'Name the files themselves.',
    });
  }
  if (stats.size <= mostBytes) return;
  const message = `${shownPath(path)} has ${stats.size} bytes: more than ${mostBytes} are not read.`;
  throw new ManageDbError('UNREADABLE_FILE', message, { hint: 'Make several files of it.' });
}

/** Bytes that are not UTF-8 would otherwise reach the database as U+FFFD, and nobody would notice. */
function decode(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `${shownPath(path)} is not UTF-8. Nothing of it was executed.`, {
      hint: 'Save it as UTF-8.',
      cause: error,
    });
  }
}
