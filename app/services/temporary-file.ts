import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { lstat, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf, ManageDbError, messageOf } from '../core/errors.js';
import { processMark, processSpace } from './embedded/process-mark.js';
import { onUntimelyEnd } from './untimely-end.js';

/**
 * `manage_db-work-<pid>-<run>-<space>-<random>`: which process made it stands in its name, so that there is no moment in
 * which nobody knows whose it is.
 */
const PREFIX = 'manage_db-work-';
const NAME = new RegExp(`^${PREFIX}(?<pid>\\d+)-(?<run>[0-9a-f]{12})-(?<space>[0-9a-f]{12})-`);

/**
 * Runs `work` with the path of a file that holds `text`: 0600, in a folder of its own with 0700. It is gone afterwards:
 * after success, an error, an abort, and also when a signal ends this process. What SIGKILL leaves is removed by the next
 * one, see {@link sweepTemporaryFiles}.
 *
 * @throws ManageDbError `DISK_FULL`, `UNREADABLE_FILE` when it cannot be written
 * @example await withTemporaryFile('list', text, (path) => runClientTool(pgRestore, [`--use-list=${path}`], options));
 */
export async function withTemporaryFile<T>(name: string, text: string, work: (path: string) => Promise<T>): Promise<T> {
  await sweepTemporaryFiles();
  const folder = await newFolder();
  const forget = onUntimelyEnd(() => rmSync(folder, { recursive: true, force: true }));
  try {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600, flag: 'wx' }).catch(refuse);
    return await work(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
    forget();
  }
}

/**
 * Removes what killed processes of this user have left in the folder for temporary files, passwords among it. A folder
 * whose process lives, and one of another machine or container, where nobody can look, stays.
 */
export async function sweepTemporaryFiles(): Promise<void> {
  const parent = tmpdir();
  const names = await readdir(parent).catch(() => []);
  for (const name of names) {
    const { pid, run, space } = NAME.exec(name)?.groups ?? {};
    if (pid === undefined || space !== hashOf(processSpace())) continue;
    const mark = processMark(Number(pid));
    if (mark !== null && hashOf(mark) === run) continue;
    const folder = join(parent, name);
    if (await isOwn(folder)) await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Everybody can make folders there, under any name. */
async function isOwn(folder: string): Promise<boolean> {
  const stats = await lstat(folder).catch(() => null);
  return stats?.isDirectory() === true && (process.getuid === undefined || stats.uid === process.getuid());
}

async function newFolder(): Promise<string> {
  const mark = `${process.pid}-${hashOf(processMark(process.pid) ?? '')}-${hashOf(processSpace())}`;
  return mkdtemp(join(tmpdir(), `${PREFIX}${mark}-`)).catch(refuse);
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function refuse(error: unknown): never {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(codeOf(error) ?? '');
  throw new ManageDbError(
    isFull ? 'DISK_FULL' : 'UNREADABLE_FILE',
    `No temporary file can be written to ${tmpdir()}: ${messageOf(error)}.`,
    { hint: `Make room there (df -h ${tmpdir()}), or name another folder: TMPDIR=/var/tmp`, cause: error },
  );
}
