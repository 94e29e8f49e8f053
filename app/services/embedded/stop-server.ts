import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readEmbeddedEndpoint } from '../../config/embedded-endpoint.js';
import { codeOf, ManageDbError } from '../../core/errors.js';
import type { OperationControls } from '../../core/progress.js';
import type { StoppedServer } from './embedded-server.js';
import { withFileLock } from './file-lock.js';
import { serverFailed } from './launch.js';
import { findPostmaster, type Postmaster } from './postmaster.js';
import { processMark } from './process-mark.js';
import { locateHome, type ServerHome } from './server-home.js';

const STOP_TIMEOUT_MS = 60_000;

/** Stops the workspace's server, if it runs, and waits until it is gone. */
export async function stopServer(workspaceRoot: string, controls: OperationControls): Promise<StoppedServer> {
  const home = locateHome(workspaceRoot, readEmbeddedEndpoint(workspaceRoot));
  const begin = performance.now();
  // Nothing runs and nobody is starting anything: no reason to need write permission.
  if (home.copiedFrom !== null) return { stopped: false, pid: null, durationMs: 0 };
  const pid = await underLock(workspaceRoot, controls, async () => {
    const postmaster = findPostmaster(home.dataDirectory);
    if (postmaster !== null) await shutDown(home, postmaster, controls);
    return postmaster?.pid ?? null;
  });
  return { stopped: pid !== null, pid, durationMs: Math.round(performance.now() - begin) };
}

/** The lock that start and stop take: `.manage_db/embedded.lock`. */
export function workspaceLock(workspaceRoot: string): string {
  return join(workspaceRoot, '.manage_db', 'embedded.lock');
}

/**
 * A fast shutdown: open transactions are rolled back, sessions are ended, everything is written.
 *
 * @throws EMBEDDED_SERVER_FAILED it still runs after a minute.
 */
export async function shutDown(home: ServerHome, { pid }: Postmaster, controls: OperationControls): Promise<void> {
  controls.onProgress?.({ step: 'stopping the embedded server' });
  const mark = processMark(pid);
  signalPostmaster(pid, home);
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  // The process and not its pid file: that goes away a moment earlier.
  while (mark !== null && processMark(pid) === mark) {
    if (controls.signal?.aborted) {
      throw new ManageDbError(
        'INTERRUPTED',
        'Interrupted while the embedded server was stopping; it goes on stopping.',
        {
          cause: controls.signal.reason,
        },
      );
    }
    if (Date.now() > deadline)
      throw serverFailed(`The embedded server (pid ${pid}) still runs 60 s after it was told to stop.`, home);
    await sleep(10);
  }
}

function signalPostmaster(pid: number, home: ServerHome): void {
  try {
    process.kill(pid, 'SIGINT');
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return;
    throw new ManageDbError(
      'EMBEDDED_SERVER_FAILED',
      `The embedded server (pid ${pid}) may not be stopped by this user.`,
      {
        hint: 'Stop it as the user who started it.',
        details: { pid, dataDirectory: home.dataDirectory },
        cause: error,
      },
    );
  }
}

async function underLock<T>(workspaceRoot: string, controls: OperationControls, fn: () => Promise<T>): Promise<T> {
  try {
    return await withFileLock(workspaceLock(workspaceRoot), fn, { signal: controls.signal });
  } catch (error) {
    // No state folder: no server, and nothing to lock.
    if (codeOf(error) === 'ENOENT') return fn();
    throw error;
  }
}
