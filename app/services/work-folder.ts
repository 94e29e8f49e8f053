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
 * which nobody knows whose it is. With a dot where others look for folders of theirs.
 */
const PREFIX = 'manage_db-work-';
const NAME = new RegExp(`^\\.?${PREFIX}(?<pid>\\d+)-(?<run>[0-9a-f]{12})-(?<space>[0-9a-f]{12})-`);

/**
 * Runs `work` with the path of a folder of its own in `parent`, 0700. It is gone afterwards: after success, an error, an
 * abort, and also when a signal ends this process. What SIGKILL leaves is removed by the next one, see {@link sweepWorkFolders}.
 *
 * @throws ManageDbError `DISK_FULL`, `UNREADABLE_FILE` when it cannot be made
 */
export async function withWorkFolder<T>(parent: string, work: (folder: string) => Promise<T>): Promise<T> {
  await sweepWorkFolders(parent);
  const folder = await newFolder(parent);
  const forget = onUntimelyEnd(() => rmSync(folder, { recursive: true, force: true }));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
    forget();
  }
}

/**
 * Runs `work` with the path of a file that holds `text`: 0600, in a {@link withWorkFolder} of its own.
 *
 * @throws ManageDbError `DISK_FULL`, `UNREADABLE_FILE` when it cannot be written
 * @example await withTemporaryFile('list', text, (path) => runClientTool(pgRestore, [`--use-list=${path}`], options));
 */
export function withTemporaryFile<T>(name: string, text: string, work: (path: string) => Promise<T>): Promise<T> {
  return withWorkFolder(tmpdir(), async (folder) => {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600, flag: 'wx' }).catch((error: unknown) => refuse(tmpdir(), error));
    return work(path);
  });
}

/**
 * Removes what killed processes of this user have left in `parent`, passwords and clear dumps among it. A folder whose
 * process lives, and one of another machine or container, where nobody can look, stays.
 */
export async function sweepWorkFolders(parent: string): Promise<void> {
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

async function newFolder(parent: string): Promise<string> {
  const mark = `${process.pid}-${hashOf(processMark(process.pid) ?? '')}-${hashOf(processSpace())}`;
  const prefix = parent === tmpdir() ? PREFIX : `.${PREFIX}`;
  return mkdtemp(join(parent, `${prefix}${mark}-`)).catch((error: unknown) => refuse(parent, error));
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

function refuse(folder: string, error: unknown): never {
  const isFull = ['ENOSPC', 'EDQUOT'].includes(codeOf(error) ?? '');
  throw new ManageDbError(
    isFull ? 'DISK_FULL' : 'UNREADABLE_FILE',
    `Nothing can be written to ${folder} for the time of the work: ${messageOf(error)}.`,
    {
      hint: `Make room there (df -h ${folder})${folder === tmpdir() ? ', or name another folder: TMPDIR=/var/tmp' : ''}.`,
      cause: error,
    },
  );
}
