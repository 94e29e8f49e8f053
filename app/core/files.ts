import { randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { codeOf, ManageDbError, messageOf } from './errors.js';

/** For files that may hold what is nobody else's business. */
const PRIVATE = 0o600;

/**
 * Writes `text` so that a reader sees either the old file or the whole new one, whatever happens in between. A file that
 * is replaced keeps its owner and its mode; missing folders are made with {@link makeFolder}.
 *
 * @param mode forced upon the file, also upon one that is there; without it a new file gets 0600.
 * @example writeFileAtomically('/srv/clinic/.manage_db/environment', 'testing\n')
 */
export function writeFileAtomically(path: string, text: string, mode?: number): void {
  const folder = dirname(path);
  makeFolder(folder);
  const before = statSync(path, { throwIfNoEntry: false });
  const temporary = join(folder, `.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = openSync(temporary, 'wx', PRIVATE);
    try {
      writeFileSync(file, text);
      giveTo(before ?? statSync(folder), file);
      fchmodSync(file, mode ?? (before === undefined ? PRIVATE : before.mode & 0o777));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Whether the file begins with `text`, however Git or an editor may have written it again. */
export function beginsWith(path: string, text: string): boolean {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Buffer.byteLength(text) + 3);
    const length = readSync(file, bytes);
    return bytes
      .toString('utf8', 0, length)
      .replace(/^\uFEFF/, '')
      .startsWith(text);
  } finally {
    closeSync(file);
  }
}

/**
 * The text of a file; `undefined` where there is none.
 *
 * @throws ManageDbError `UNREADABLE_FILE`
 * @example readIfThere('/srv/clinic/.env')
 */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return undefined;
    throw new ManageDbError('UNREADABLE_FILE', `${path} cannot be read: ${messageOf(error)}.`, {
      hint: `Check its permissions: ls -l ${path}`,
      cause: error,
    });
  }
}

/** Appends one line; a single `write` with O_APPEND, so lines of several processes do not mix. */
export function appendLine(path: string, line: string): void {
  const folder = dirname(path);
  makeFolder(folder);
  const file = openSync(path, 'a', PRIVATE);
  try {
    if (fstatSync(file).size === 0) giveTo(statSync(folder), file);
    writeFileSync(file, `${line}\n`);
  } finally {
    closeSync(file);
  }
}

/**
 * Makes `path` and what is missing above it, mode 0700. What root makes belongs to the owner of the folder that it is
 * in: after a command under sudo the workspace's owner must still be able to work.
 *
 * @example makeFolder('/srv/clinic/.manage_db')
 */
export function makeFolder(path: string): void {
  const absolute = resolve(path);
  const missing: string[] = [];
  for (let folder = absolute; !isThere(folder); folder = dirname(folder)) missing.unshift(folder);
  // not `recursive`: in /proc, where nobody can make a folder, that never ends
  for (const folder of missing) {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      // somebody else has made it in this moment
      if (codeOf(error) === 'EEXIST' && isThere(folder)) continue;
      throw error;
    }
    giveTo(statSync(dirname(folder)), folder);
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Only root can give a file away; where a mount refuses it (NFS, a container's user ids), the file is good all the same. */
function giveTo({ uid, gid }: Stats, file: number | string): void {
  if (process.geteuid?.() !== 0) return;
  try {
    if (typeof file === 'string') chownSync(file, uid, gid);
    else fchownSync(file, uid, gid);
  } catch (error) {
    if (codeOf(error) !== 'EPERM' && codeOf(error) !== 'EINVAL') throw error;
  }
}
