import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManageDbError } from '../../core/errors.js';

const FATAL_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Folders that must not outlive this process. */
const open = new Set<string>();

/**
 * Runs `work` with the path of a password file (0600, in a folder of its own with 0700) that libpq reads `password`
 * from. It is gone afterwards: after success, an error, an abort, and also when a signal ends this process.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` for a password that such a file cannot hold
 */
export async function withPassfile<T>(password: string, work: (path: string) => Promise<T>): Promise<T> {
  const line = passfileLine(password);
  const folder = await mkdtemp(join(tmpdir(), 'manage_db-'));
  watch(folder);
  try {
    const path = join(folder, 'passfile');
    await writeFile(path, line, { mode: 0o600, flag: 'wx' });
    return await work(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
    unwatch(folder);
  }
}

/** Any host, port, database and user: the file serves one child process whose server is fixed by its environment. */
function passfileLine(password: string): string {
  if (/[\r\n\0]/.test(password)) {
    throw new ManageDbError('INVALID_CONFIGURATION', 'The database password contains a line break, which no password file can hold.', {
      hint: 'Check how the password was read (a trailing newline?), or set another one.',
    });
  }
  return `*:*:*:*:${password.replace(/[\\:]/g, '\\$&')}\n`;
}

function watch(folder: string): void {
  if (open.size === 0) {
    process.on('exit', removeAll);
    for (const signal of FATAL_SIGNALS) process.on(signal, onSignal);
  }
  open.add(folder);
}

function unwatch(folder: string): void {
  open.delete(folder);
  if (open.size > 0) return;
  process.off('exit', removeAll);
  for (const signal of FATAL_SIGNALS) process.off(signal, onSignal);
}

function removeAll(): void {
  for (const folder of open) rmSync(folder, { recursive: true, force: true });
}

/**
 * A program with a signal handler of its own aborts the work in it, and `finally` removes the file. Without one Node
 * would have ended here: so the files go, and the signal ends the process as it would have done without us.
 */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  removeAll();
  process.off(signal, onSignal);
  process.kill(process.pid, signal);
}
