import { readFileSync } from 'node:fs';
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
 * @throws ManageDbError `UNREADABLE_FILE`, also for a file in another encoding than UTF-8
 */
export function readSqlFile(path: string): string {
  return decode(path, readBytes(path)).replaceAll('\r\n', '\n');
}

/** `path` as it is shown: from the current folder where it lies below that. */
export function shownPath(path: string): string {
  const fromHere = relative(process.cwd(), path);
  return fromHere.startsWith('..') ? path : fromHere;
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `${shownPath(path)} cannot be read: ${messageOf(error)}.`, {
      hint: 'Check the name of the file and its permissions.',
      cause: error,
    });
  }
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
