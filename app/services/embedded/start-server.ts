import { randomBytes } from 'node:crypto';
import { accessSync, chmodSync, constants, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EmbeddedEndpoint, readEmbeddedEndpoint } from '../../config/embedded-endpoint.js';
import { codeOf, ManageDbError } from '../../core/errors.js';
import { makeFolder } from '../../core/files.js';
import type { OperationControls } from '../../core/progress.js';
import { type Binaries, prepareBinaries } from './binaries.js';
import { createCluster, SUPERUSER } from './create-cluster.js';
import { releaseDataLock, takeDataLock } from './data-lock.js';
import type { EmbeddedServer, StartOptions } from './embedded-server.js';
import { withFileLock } from './file-lock.js';
import { launchPostmaster, serverFailed, waitUntilReady } from './launch.js';
import { findPostmaster, type Postmaster } from './postmaster.js';
import { resetPassword } from './reset-password.js';
import type { Account } from './run-program.js';
import { ensureServerAccount } from './server-account.js';
import { locateHome, ownerOf, readRecord, type ServerHome, SYSTEM_FOLDER, writeRecord } from './server-home.js';
import { chooseFreePort, isPortFree } from './server-port.js';
import { shutDown, workspaceLock } from './stop-server.js';
import { writeEmbeddedEndpoint } from './write-endpoint.js';

/** What is known of the cluster once it exists. The port is the one to try first. */
interface Cluster {
  readonly home: ServerHome;
  readonly binaries: Binaries;
  readonly account: Account;
  readonly endpoint: EmbeddedEndpoint;
  readonly isNew: boolean;
}

/** Starts the server, and creates the cluster first where there is none; one process at a time per workspace. */
export async function startServer(workspaceRoot: string, options: StartOptions): Promise<EmbeddedServer> {
  ensureWritable(join(workspaceRoot, '.manage_db'));
  return withFileLock(workspaceLock(workspaceRoot), () => startUnderLock(workspaceRoot, options), {
    signal: options.signal,
    onWait: (pid) => options.onProgress?.({ step: `waiting for process ${pid}, which starts the embedded server` }),
  });
}

async function startUnderLock(workspaceRoot: string, options: StartOptions): Promise<EmbeddedServer> {
  const home = locateHome(workspaceRoot, readEmbeddedEndpoint(workspaceRoot));
  const known = matchingEndpoint(workspaceRoot, home);
  const running = await settledPostmaster(home, options);
  if (running !== null && known !== null) {
    refuseOtherPort(running, options.port);
    const endpoint = { ...known, port: running.port };
    remember(workspaceRoot, home, endpoint, readRecord(home)?.version ?? 'unknown');
    return { ...endpoint, pid: running.pid, wasRunning: true, created: false };
  }
  // It runs, but nobody knows the password any more.
  if (running !== null) await shutDown(home, running, options);
  const cluster = await prepareCluster(home, known, options);
  const postmaster = await launch(cluster, options);
  const endpoint = { ...cluster.endpoint, port: postmaster.port };
  remember(workspaceRoot, home, endpoint, cluster.binaries.version);
  return { ...endpoint, pid: postmaster.pid, wasRunning: false, created: cluster.isNew };
}

/** The postmaster once it accepts connections; `null` when there is none, or none any more. */
async function settledPostmaster(home: ServerHome, controls: OperationControls): Promise<Postmaster | null> {
  const found = findPostmaster(home.dataDirectory);
  if (found === null || found.status === 'ready') return found;
  return waitUntilReady(home, controls);
}

/** Of the two copies, the one that is about this very cluster: either may be lost, or come from another folder. */
function matchingEndpoint(workspaceRoot: string, home: ServerHome): EmbeddedEndpoint | null {
  if (ownerOf(home) === null) return null;
  const systemIdentifier = readSystemIdentifier(home);
  const copies = [readEmbeddedEndpoint(workspaceRoot), readRecord(home)?.endpoint ?? null];
  const endpoint = copies.find((copy) => copy?.systemIdentifier === systemIdentifier) ?? null;
  return endpoint === null ? null : { ...endpoint, dataDirectory: home.dataDirectory };
}

async function prepareCluster(
  home: ServerHome,
  known: EmbeddedEndpoint | null,
  options: StartOptions,
): Promise<Cluster> {
  const account = await prepareHome(home, options);
  const copies = home.isSystemWide ? join(SYSTEM_FOLDER, 'binaries') : join(home.folder, 'binaries');
  const binaries = await prepareBinaries(account, copies, options);
  const isNew = ownerOf(home) === null;
  const password = known?.password ?? randomBytes(24).toString('base64url');
  if (isNew) await createCluster({ home, binaries, account, password }, options);
  else refuseOtherMajor(home, binaries);
  const endpoint = {
    host: '127.0.0.1' as const,
    port: options.port ?? known?.port ?? (await chooseFreePort(home.workspace)),
    user: known?.user ?? SUPERUSER,
    password,
    dataDirectory: home.dataDirectory,
    systemIdentifier: readSystemIdentifier(home),
  };
  // Already now: whoever is killed before the start would lose the password.
  if (isNew) writeRecord(home, endpoint, binaries.version);
  else if (known === null) await resetPassword({ home, binaries, account, password }, options);
  return { home, binaries, account, endpoint, isNew };
}

/** Root's servers run as an unprivileged account, which must be able to reach the home but not to write in it. */
async function prepareHome(home: ServerHome, options: StartOptions): Promise<Account> {
  if (home.copiedFrom !== null) {
    options.onProgress?.({
      step: `this workspace is a copy of ${home.copiedFrom}: it gets a server of its own, without data`,
    });
  }
  const owner = ownerOf(home);
  if (!home.isSystemWide) {
    mkdirSync(home.folder, { recursive: true, mode: 0o700 });
    return owner === null ? null : accountOfOwner(owner, home);
  }
  mkdirSync(SYSTEM_FOLDER, { recursive: true });
  chmodSync(SYSTEM_FOLDER, 0o755);
  const account = await withFileLock(join(SYSTEM_FOLDER, 'account.lock'), () => ensureServerAccount(options), options);
  mkdirSync(home.folder, { recursive: true });
  chmodSync(home.folder, 0o711);
  return owner === null ? account : accountOfOwner(owner, home);
}

function accountOfOwner(owner: { uid: number; gid: number }, home: ServerHome): Account {
  const ourUid = process.getuid?.();
  if (owner.uid === ourUid && ourUid !== 0) return null;
  if (owner.uid !== 0 && ourUid === 0) return owner;
  throw new ManageDbError(
    'EMBEDDED_SERVER_FAILED',
    `${home.dataDirectory} belongs to uid ${owner.uid}, and we are uid ${ourUid}.`,
    {
      hint: `PostgreSQL runs as the owner of its data, and never as root. Give it back: chown -R USER '${home.folder}'`,
    },
  );
}

function refuseOtherMajor(home: ServerHome, binaries: Binaries): void {
  const major = readFileSync(join(home.dataDirectory, 'PG_VERSION'), 'utf8').trim();
  if (major === binaries.major) return;
  throw new ManageDbError(
    'EMBEDDED_SERVER_FAILED',
    `The embedded server's data are of PostgreSQL ${major}, its programs of ${binaries.version}.`,
    {
      hint: `Nothing was changed. Use the version of manage_db that made them to back them up, then move them away: mv '${home.dataDirectory}' '${home.dataDirectory}.${major}'`,
      details: { dataDirectory: home.dataDirectory, dataMajor: major, programsVersion: binaries.version },
    },
  );
}

async function launch(cluster: Cluster, options: StartOptions): Promise<Postmaster> {
  const { home } = cluster;
  options.onProgress?.({ step: 'starting the embedded server' });
  const lock = await takeDataLock(home, options.signal);
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      const port = await choosePort(cluster, attempt === 0, options);
      const { binaries, account } = cluster;
      const postmaster = await launchPostmaster({ home, binaries, account, port, lock }, options);
      if (postmaster !== null) return postmaster;
    }
  } finally {
    releaseDataLock(lock);
  }
  throw serverFailed('The embedded server found every port taken that it tried.', home);
}

async function choosePort({ home, endpoint }: Cluster, isFirst: boolean, options: StartOptions): Promise<number> {
  if (isFirst && (await isPortFree(endpoint.port))) return endpoint.port;
  if (options.port === undefined) {
    const port = await chooseFreePort(home.workspace);
    options.onProgress?.({ step: `port ${endpoint.port} is taken by another program: using ${port}` });
    return port;
  }
  throw new ManageDbError('EMBEDDED_SERVER_FAILED', `Port ${options.port} on 127.0.0.1 is taken by another program.`, {
    hint: 'Choose another port, or none: then a free one is found.',
  });
}

function refuseOtherPort(running: Postmaster, port: number | undefined): void {
  if (port === undefined || port === running.port) return;
  throw new ManageDbError('EMBEDDED_SERVER_FAILED', `The embedded server already runs, on port ${running.port}.`, {
    hint: 'Stop it first: manage_db embedded-db stop',
  });
}

function remember(workspaceRoot: string, home: ServerHome, endpoint: EmbeddedEndpoint, version: string): void {
  writeRecord(home, endpoint, version);
  writeEmbeddedEndpoint(workspaceRoot, endpoint);
}

/** The first eight bytes of the control file, in the machine's byte order (of all builds: little endian). */
function readSystemIdentifier(home: ServerHome): string {
  return readFileSync(join(home.dataDirectory, 'global', 'pg_control'))
    .readBigUInt64LE(0)
    .toString();
}

function ensureWritable(stateFolder: string): void {
  try {
    makeFolder(stateFolder);
    accessSync(stateFolder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new ManageDbError(
      'EMBEDDED_SERVER_FAILED',
      `The embedded server cannot keep its data in ${stateFolder} (${codeOf(error)}).`,
      {
        hint: `Give yourself write permission there, or set DEVELOPMENT_DATABASE_URL to a server of your own.`,
        details: { folder: stateFolder, code: codeOf(error) },
        cause: error,
      },
    );
  }
}
