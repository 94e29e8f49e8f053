import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManageDbError } from '../../core/errors.js';
import type { ServerHome } from './server-home.js';

/** Long enough for the backends of a killed postmaster to notice and end. */
const PATIENCE_MS = 10_000;

/**
 * A kernel lock on the cluster, as an open file that the postmaster inherits: it is held for as long as any process
 * of the server lives. PostgreSQL's own check knows a server by its pid and its shared memory, and sees neither across
 * containers that share the folder; two servers on one cluster would destroy it. `null` where flock(1) is missing.
 *
 * @throws EMBEDDED_SERVER_FAILED the lock is held by processes that are not to be seen from here.
 */
export async function takeDataLock(home: ServerHome, signal?: AbortSignal): Promise<number | null> {
  const file = join(home.folder, 'server.lock');
  const descriptor = openSync(file, 'a', 0o600);
  try {
    for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(100)) {
      if (signal?.aborted) throw interrupted();
      const status = await flock(descriptor);
      if (status === 0) return descriptor;
      if (status === null) return releaseDataLock(descriptor);
      if (Date.now() > deadline) break;
    }
  } catch (error) {
    releaseDataLock(descriptor);
    throw error;
  }
  releaseDataLock(descriptor);
  throw new ManageDbError(
    'EMBEDDED_SERVER_FAILED',
    `Another server, or the rest of a killed one, uses ${home.dataDirectory}.`,
    {
      hint: `Its processes are not to be seen from here: is it in another container, or on the container's host? Stop it there (manage_db embedded-db stop). On this machine they are found with: fuser -v '${file}'`,
      details: { lock: file },
    },
  );
}

export function releaseDataLock(descriptor: number | null): null {
  if (descriptor !== null) closeSync(descriptor);
  return null;
}

/** flock(1) locks the open file that it inherits as its descriptor 3, and ends; the lock stays with the open file. */
function flock(descriptor: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
    child.once('error', () => resolve(null));
    child.once('exit', (code) => {
      if (code === 0 || code === 1) resolve(code);
      // Some file systems know no such locks.
      else if (code !== null) resolve(null);
      else reject(interrupted());
    });
  });
}

function interrupted(): ManageDbError {
  return new ManageDbError('INTERRUPTED', 'Interrupted while the embedded server was being started.', {
    hint: 'The next command starts it.',
  });
}
