import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { codeOf } from '../../core/errors.js';

/** A live postmaster, proven to be the one of its data directory. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly startedAt: Date;
  readonly status: 'starting' | 'ready' | 'stopping';
}

/**
 * The postmaster that runs on `dataDirectory` at this moment, or `null`. What postmaster.pid says is believed only
 * after a look at the process: the file stays behind after a crash, and its pid is given to other programs.
 */
export function findPostmaster(dataDirectory: string): Postmaster | null {
  const lines = readPidFile(dataDirectory);
  const pid = Number(lines?.[0]);
  // A negative pid is a single-user backend.
  if (lines === null || !Number.isInteger(pid) || pid < 2 || !isPostmasterOf(pid, dataDirectory)) return null;
  return {
    pid,
    port: Number(lines[3] ?? 0),
    startedAt: new Date(Number(lines[2] ?? 0) * 1000),
    status: statusOf(lines[7]),
  };
}

/** postmaster.pid's lines: pid, data directory, start time, port, socket folder, address, shared memory, status. */
export function readPidFile(dataDirectory: string): string[] | null {
  try {
    return readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n');
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
}

function isPostmasterOf(pid: number, dataDirectory: string): boolean {
  const argv = process.platform === 'linux' ? argvFromProc(pid) : argvFromPs(pid);
  // Backends are excluded too: they overwrite their arguments with what they do.
  if (argv === null || basename(argv[0] ?? '') !== 'postgres' || argv[1] !== '-D') return false;
  return worksIn(pid, dataDirectory) ?? argv[2] === dataDirectory;
}

/** The folder itself counts, not its path: the workspace may have been moved, or copied, while the server runs. */
function worksIn(pid: number, dataDirectory: string): boolean | null {
  try {
    const theirs = statSync(`/proc/${pid}/cwd`, { bigint: true });
    const ours = statSync(dataDirectory, { bigint: true });
    return theirs.dev === ours.dev && theirs.ino === ours.ino;
  } catch {
    // Root in a container has no CAP_SYS_PTRACE and may not see it; other systems have no /proc.
    return null;
  }
}

/** Of a dead process (a zombie as well) nothing is left. */
function argvFromProc(pid: number): string[] | null {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return null;
  }
}

function argvFromPs(pid: number): string[] | null {
  try {
    const command = execFileSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const [, program, dataDirectory] = /^(.*?) -D (.*) -p \d+ /.exec(command) ?? [];
    return program === undefined || dataDirectory === undefined ? null : [program, '-D', dataDirectory];
  } catch {
    return null;
  }
}

function statusOf(line: string | undefined): Postmaster['status'] {
  const word = line?.trim();
  if (word === 'ready' || word === 'standby') return 'ready';
  return word === 'stopping' ? 'stopping' : 'starting';
}
