import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { codeOf } from '../../core/errors.js';

/**
 * A text that names one run of one process, or `null` when that process does not live (any more). A pid alone does
 * not: it is given to another process sooner or later.
 */
export function processMark(pid: number): string | null {
  if (process.platform !== 'linux') return markFromPs(pid);
  const stat = readOrNull(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The command's name in parentheses may contain spaces and parentheses; what follows the last one has fixed places.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  const startTicks = fields[19];
  const isDead = state === 'Z' || state === 'X';
  return isDead ? null : `${readOrNull('/proc/sys/kernel/random/boot_id')?.trim()}/${startTicks}`;
}

/** The set of processes that a pid is valid in: a container sharing the folder has another one. */
export function processSpace(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

function markFromPs(pid: number): string | null {
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim() || null;
  } catch {
    return null;
  }
}

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // ESRCH: the process ended between open and read.
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return null;
    throw error;
  }
}
