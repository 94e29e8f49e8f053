import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManageDbError, messageOf } from '../../core/errors.js';
import type { OperationControls } from '../../core/progress.js';
import type { Binaries } from './binaries.js';
import { findPostmaster, type Postmaster, readPidFile } from './postmaster.js';
import { type Account, NEUTRAL_FOLDER, SERVER_ENVIRONMENT } from './run-program.js';
import type { ServerHome } from './server-home.js';

export interface Launch {
  readonly home: ServerHome;
  readonly binaries: Binaries;
  readonly account: Account;
  readonly port: number;
  /** The open file of the cluster's lock, which the server inherits. */
  readonly lock: number | null;
}

/** Recovery after a crash is waited for as long as this. */
const START_TIMEOUT_MS = 60_000;
/** The server's messages are never translated: it runs with LC_ALL=C. */
const FATAL = /\b(FATAL|PANIC): {2}/;
const LARGE_LOG_BYTES = 10 * 1024 * 1024;

/**
 * Starts the postmaster detached from us and waits until it accepts connections. `null`: the port was taken between
 * the look at it and the start.
 *
 * @throws EMBEDDED_SERVER_FAILED it ended, or is not ready after a minute; `details` has the end of its log.
 * @throws INTERRUPTED `signal` was aborted; the server has been told to stop.
 */
export async function launchPostmaster(launch: Launch, controls: OperationControls): Promise<Postmaster | null> {
  const { home } = launch;
  disownPidFile(home.dataDirectory);
  rotateLog(home.logFile);
  const log = openSync(home.logFile, 'a', 0o600);
  const logStart = statSync(home.logFile).size;
  const child = spawnPostmaster(launch, log);
  closeSync(log);
  const ended = new AbortController();
  child.once('exit', () => ended.abort());
  let startError: unknown;
  child.once('error', (error) => {
    startError = error;
    ended.abort();
  });
  try {
    const postmaster = await waitUntilReady(home, { ...controls, ended: ended.signal, pid: child.pid });
    if (postmaster !== null) return postmaster;
  } catch (error) {
    if (child.pid !== undefined && controls.signal?.aborted) {
      child.kill('SIGINT');
      if (!ended.signal.aborted) await once(child, 'exit');
    }
    throw error;
  } finally {
    child.removeAllListeners();
    child.unref();
  }
  const said = readFileSync(home.logFile).subarray(logStart).toString('utf8');
  if (/Address already in use|could not create any TCP\/IP sockets/.test(said)) return null;
  const reason =
    startError === undefined ? said.split('\n').findLast((line) => FATAL.test(line)) : messageOf(startError);
  throw serverFailed('The embedded server ended while it was starting.', home, reason);
}

/**
 * Waits until the postmaster of this cluster accepts connections; `null`: it ended meanwhile.
 *
 * @throws EMBEDDED_SERVER_FAILED it is not ready after a minute.
 */
export async function waitUntilReady(
  home: ServerHome,
  controls: OperationControls & { readonly ended?: AbortSignal; readonly pid?: number | undefined },
): Promise<Postmaster | null> {
  const begin = Date.now();
  let announced = false;
  while (Date.now() - begin < START_TIMEOUT_MS) {
    if (controls.signal?.aborted) throw interrupted(controls.signal);
    const hasEnded = controls.ended?.aborted ?? false;
    const postmaster = findPostmaster(home.dataDirectory);
    const isExpected = postmaster !== null && (controls.pid === undefined || postmaster.pid === controls.pid);
    if (isExpected && postmaster.status === 'ready') return postmaster;
    if (hasEnded || (controls.ended === undefined && postmaster === null)) return null;
    if (!announced && Date.now() - begin > 2000) {
      controls.onProgress?.({ step: 'waiting for the embedded server, which is starting or recovering' });
      announced = true;
    }
    await sleep(10);
  }
  throw serverFailed('The embedded server does not accept connections after 60 s; it goes on starting.', home);
}

/** An error that shows the end of the server's log, where the reason is. */
export function serverFailed(message: string, home: ServerHome, reason?: string): ManageDbError {
  const logTail = lastLines(home.logFile, 15);
  return new ManageDbError('EMBEDDED_SERVER_FAILED', reason === undefined ? message : `${message} ${reason}`, {
    hint: `Read the server's log: tail '${home.logFile}'`,
    details: { logFile: home.logFile, dataDirectory: home.dataDirectory, logTail },
  });
}

/**
 * A pid file left by a crash stops the start when its pid is now another program's. The pid is replaced, not the file
 * removed: the file's shared memory key is how PostgreSQL finds backends that have outlived their postmaster.
 */
function disownPidFile(dataDirectory: string): void {
  const [pid, ...rest] = readPidFile(dataDirectory) ?? [];
  if (pid === undefined || !isAlive(Number(pid))) return;
  const file = join(dataDirectory, 'postmaster.pid');
  if (rest.length < 7) rmSync(file);
  else writeFileSync(file, [NO_PROCESS, ...rest].join('\n'));
}

/** Above every limit for pids. */
const NO_PROCESS = '2147483647';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function rotateLog(logFile: string): void {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LARGE_LOG_BYTES) renameSync(logFile, `${logFile}.1`);
}

/** Nothing of us is handed down: no terminal, no Ctrl-C, no pipe (a reader would wait for its end), no environment. */
function spawnPostmaster({ home, binaries, account, port, lock }: Launch, log: number): ChildProcess {
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'logging_collector=off'];
  const args = ['-D', home.dataDirectory, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
  return spawn(binaries.postgres, args, {
    ...(account ?? {}),
    detached: true,
    cwd: NEUTRAL_FOLDER,
    env: SERVER_ENVIRONMENT,
    stdio: lock === null ? ['ignore', log, log] : ['ignore', log, log, lock],
  });
}

function interrupted(signal: AbortSignal): ManageDbError {
  return new ManageDbError('INTERRUPTED', 'Interrupted while the embedded server was starting.', {
    hint: 'The next command starts it again.',
    cause: signal.reason,
  });
}

function lastLines(file: string, count: number): string[] {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count);
  } catch {
    return [];
  }
}
