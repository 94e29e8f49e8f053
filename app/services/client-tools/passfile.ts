import { rmSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf, ManageDbError } from '../../core/errors.js';
import { onUntimelyEnd } from '../untimely-end.js';

/** Of the folders' names; the process that made one follows. */
const PREFIX = 'manage_db-passfile-';

/**
 * Runs `work` with the path of a password file (0600, in a folder of its own with 0700) that libpq reads `password`
 * from. It is gone afterwards: after success, an error, an abort, and also when a signal ends this process.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` for a password that such a file cannot hold
 */
export async function withPassfile<T>(password: string, work: (path: string) => Promise<T>): Promise<T> {
  const line = passfileLine(password);
  await sweep();
  const folder = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`));
  const forget = onUntimelyEnd(() => rmSync(folder, { recursive: true, force: true }));
  try {
    const path = join(folder, 'passfile');
    await writeFile(path, line, { mode: 0o600, flag: 'wx' });
    return await work(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
    forget();
  }
}

/** What killed processes (SIGKILL, power) could not remove: folders of ours whose process is gone. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    // another user's is not ours to remove, nor would we be allowed to
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

/** Any host, port, database and user: the file serves one child process whose server is fixed by its environment. */
function passfileLine(password: string): string {
  if (/[\r\n\0]/.test(password)) {
    throw new ManageDbError(
      'INVALID_CONFIGURATION',
      'The database password contains a line break, which no password file can hold.',
      { hint: 'Check how the password was read (a trailing newline?), or set another one.' },
    );
  }
  return `*:*:*:*:${password.replace(/[\\:]/g, '\\$&')}\n`;
}
