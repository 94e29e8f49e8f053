import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, ManageDbError } from '../../core/errors.js';
import { processMark, processSpace } from './process-mark.js';

export interface FileLockOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds to wait for the holder; default two minutes. */
  readonly timeoutMs?: number;
  /** Called once, when somebody else holds the lock. */
  readonly onWait?: (holderPid: number) => void;
}

interface Holder {
  readonly nonce: string;
  readonly pid: number;
  readonly mark: string | null;
  readonly space: string;
}

/** A holder in another container cannot be looked up; longer than this nobody holds the lock. */
const FOREIGN_HOLDER_MS = 180_000;

/**
 * Runs `fn` while nobody else holds the lock at `path`, in this process or another. Node has no flock(), so the lock
 * is a file that names its holder's process: it ends with that process, however it dies.
 *
 * @throws LOCK_TIMEOUT somebody else held it all the time.
 * @throws INTERRUPTED `signal` was aborted while waiting.
 */
export async function withFileLock<T>(path: string, fn: () => Promise<T>, options: FileLockOptions = {}): Promise<T> {
  const mine: Holder = { nonce: randomUUID(), pid: process.pid, mark: processMark(process.pid), space: processSpace() };
  await acquire(path, mine, options);
  try {
    return await fn();
  } finally {
    if (readHolder(path)?.nonce === mine.nonce) rmSync(path, { force: true });
  }
}

async function acquire(path: string, mine: Holder, options: FileLockOptions): Promise<void> {
  const deadline = Date.now() + (options.timeoutMs ?? 120_000);
  let announced = false;
  while (!take(path, mine)) {
    if (options.signal?.aborted) throw interrupted(options.signal);
    const holder = readHolder(path);
    if (holder === null) continue;
    if (isDead(holder, path)) {
      await removeDead(path);
      continue;
    }
    if (!announced) options.onWait?.(holder.pid);
    announced = true;
    if (Date.now() > deadline) throw heldTooLong(path, holder);
    await sleep(20);
  }
}

/** The file appears under its name complete with its content, or not at all: link() refuses an existing name. */
function take(path: string, mine: Holder): boolean {
  const draft = `${path}.${mine.nonce}`;
  writeFileSync(draft, JSON.stringify(mine), { flag: 'wx', mode: 0o644 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function readHolder(path: string): Holder | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function isDead(holder: Holder, path: string): boolean {
  if (holder.space === processSpace()) return processMark(holder.pid) !== holder.mark;
  const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return modified !== undefined && Date.now() - modified > FOREIGN_HOLDER_MS;
}

/**
 * Two who find the same dead holder must not both remove it: the second would remove the lock that the first has
 * taken meanwhile. So a dead lock is removed, after a second look, only under a lock of its own (of the same kind,
 * and healed in the same way).
 */
async function removeDead(path: string): Promise<void> {
  await withFileLock(`${path}.break`, async () => {
    const holder = readHolder(path);
    if (holder !== null && isDead(holder, path)) rmSync(path, { force: true });
  });
}

function interrupted(signal: AbortSignal): ManageDbError {
  return new ManageDbError('INTERRUPTED', 'Interrupted while waiting for another command. Nothing was changed.', {
    cause: signal.reason,
  });
}

function heldTooLong(path: string, holder: Holder): ManageDbError {
  return new ManageDbError('LOCK_TIMEOUT', `Process ${holder.pid} (${holder.space}) has not released ${path}.`, {
    hint: `Wait for that command or end it: ps -p ${holder.pid}`,
    details: { lock: path, pid: holder.pid },
  });
}
