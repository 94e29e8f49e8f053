import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ManageDbError } from '../../core/errors.js';
import type { OperationControls } from '../../core/progress.js';
import type { Binaries } from './binaries.js';
import { type Account, type RunResult, runProgram } from './run-program.js';
import type { ServerHome } from './server-home.js';

/** The superuser of every embedded cluster. */
export const SUPERUSER = 'postgres';

export interface NewCluster {
  readonly home: ServerHome;
  readonly binaries: Binaries;
  readonly account: Account;
  readonly password: string;
}

const DRAFT = 'new-';

/** C.UTF-8 sorts the same everywhere and knows all letters; where the system has none, C sorts the same. */
const LOCALES = ['C.UTF-8', 'C'] as const;

/** For people's development data: durable, and otherwise PostgreSQL's own defaults written out. */
const CONFIGURATION = `
# What manage_db sets. The address, the port and the socket are given when the server is started.
max_connections = 100
max_locks_per_transaction = 1024
shared_buffers = 128MB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
`;

const HOST_BASED_AUTHENTICATION = `# TYPE  DATABASE     USER  ADDRESS       METHOD
host    all          all   127.0.0.1/32  scram-sha-256
host    replication  all   127.0.0.1/32  scram-sha-256
`;

/**
 * Creates the cluster in a temporary folder and gives it its name at the end: a data directory is complete or absent,
 * whatever is killed in between. Call it under the workspace's lock.
 *
 * @throws EMBEDDED_SERVER_FAILED initdb failed, or something that is no cluster has the name.
 */
export async function createCluster(cluster: NewCluster, controls: OperationControls): Promise<void> {
  const { home, account } = cluster;
  controls.onProgress?.({ step: `creating a PostgreSQL ${cluster.binaries.version} cluster in ${home.dataDirectory}` });
  refuseForeignFolder(home);
  removeDrafts(home.folder);
  const draft = mkdtempSync(join(home.folder, DRAFT));
  const data = join(draft, 'data');
  try {
    chmodSync(draft, 0o700);
    if (account !== null) chownSync(draft, account.uid, account.gid);
    await runInitdb(cluster, data, join(draft, 'password'), controls);
    appendFileSync(join(data, 'postgresql.conf'), CONFIGURATION);
    writeFileSync(join(data, 'pg_hba.conf'), HOST_BASED_AUTHENTICATION);
    renameSync(data, home.dataDirectory);
  } finally {
    removeDraft(draft);
  }
  removeDrafts(home.folder);
}

function refuseForeignFolder(home: ServerHome): void {
  if (!existsSync(home.dataDirectory) || readdirSync(home.dataDirectory).length === 0) return;
  throw new ManageDbError(
    'EMBEDDED_SERVER_FAILED',
    `${home.dataDirectory} is not empty and is no PostgreSQL cluster.`,
    {
      hint: `Nothing in it was changed. Move it away: mv '${home.dataDirectory}' '${home.dataDirectory}.old'`,
    },
  );
}

/** What an initdb that was killed has left; one that outlived its command may still write there for a moment. */
function removeDrafts(folder: string): void {
  for (const name of readdirSync(folder).filter((it) => it.startsWith(DRAFT))) removeDraft(join(folder, name));
}

function removeDraft(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

/** The password goes through a file, not through arguments: those can be read by everybody. */
async function runInitdb(
  { binaries, account, password }: NewCluster,
  data: string,
  passwordFile: string,
  { signal }: OperationControls,
): Promise<void> {
  writeFileSync(passwordFile, `${password}\n`, { flag: 'wx', mode: 0o600 });
  if (account !== null) chownSync(passwordFile, account.uid, account.gid);
  let result: RunResult | undefined;
  for (const locale of LOCALES) {
    const args = ['-D', data, '-U', SUPERUSER, '-A', 'scram-sha-256', `--pwfile=${passwordFile}`, '-E', 'UTF8'];
    result = await runProgram(binaries.initdb, [...args, `--locale=${locale}`, '--no-instructions'], {
      account,
      signal,
    });
    if (!/invalid locale/.test(result.output)) break;
  }
  if (result?.ok) return;
  throw new ManageDbError('EMBEDDED_SERVER_FAILED', "initdb could not create the embedded server's cluster.", {
    hint: `Check the free space and the permissions of the folder: df -h '${data}/../..'`,
    details: { output: result?.output.trimEnd().split('\n').slice(-15) },
  });
}
