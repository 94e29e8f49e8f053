import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManageDbError } from '../../core/errors.js';
import { onUntimelyEnd } from './untimely-end.js';

/**
 * Runs `work` with the path of a password file (0600, in a folder of its own with 0700) that libpq reads `password`
 * from. It is gone afterwards: after success, an error, an abort, and also when a signal ends this process.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` for a password that such a file cannot hold
 */
export async function withPassfile<T>(password: string, work: (path: string) => Promise<T>): Promise<T> {
  const line = passfileLine(password);
  const folder = await mkdtemp(join(tmpdir(), 'manage_db-'));
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
