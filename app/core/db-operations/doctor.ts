/** What stands between this machine and working: node, tools, folders, servers, each with its fix. */
import { readdirSync, statSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfigFile } from '../../config/config-file.js';
import { formatAddress } from '../../config/database-url.js';
import { type ConfigReport, describeConfig } from '../../config/db-config.js';
import { redact } from '../../config/redaction.js';
import { getWorkspace, type Workspace } from '../../config/workspace.js';
import { type ClientTools, findClientTools, listClientTools } from '../../services/client-tools.js';
import { openConnection, SINGLE_CLIENT } from '../../services/connection/open-connection.js';
import { embeddedServerStatus } from '../../services/embedded-postgres.js';
import { discover } from '../environment.js';
import { knownEnvironments, scopedPrefixes } from '../environment-names.js';
import { ManageDbError, messageOf } from '../errors.js';
import { workspaceRoot } from '../workspace-root.js';

export interface Diagnosis {
  readonly name: string;
  readonly status: 'ok' | 'info' | 'warning' | 'critical';
  readonly value: string | null;
  readonly detail: string;
  readonly fix: string | null;
}

/** Milliseconds that an environment's server has for its answer; a doctor does not wait as long as work does. */
const PATIENCE_MS = 3000;

/**
 * Examines this machine and every environment of the workspace. Changes nothing and starts no server.
 *
 * @example const { checks } = await runDoctor();
 */
export async function runDoctor(
  options: { readonly signal?: AbortSignal } = {},
): Promise<{ readonly checks: readonly Diagnosis[] }> {
  const root = workspaceRoot();
  const checks: Diagnosis[] = [checkNode()];
  const workspace = await attempt('configuration', checks, async () => {
    await loadConfigFile(root);
    return getWorkspace(root);
  });
  checks.push(await checkTools());
  if (workspace === null) return { checks };
  checks.push(...(await checkFolders(workspace)), ...checkSecretFiles(workspace));
  const active = await attempt('active environment', checks, async () => discover(root));
  if (active !== null)
    checks.push(fine('active environment', active.environment, `${active.environment}, from ${active.source}`));
  const embedded = await attempt('embedded server', checks, () => embeddedServerStatus(root));
  if (embedded !== null) {
    checks.push(
      fine(
        'embedded server',
        embedded.state,
        embedded.running ? `running on 127.0.0.1:${embedded.port}` : `${embedded.state}; it starts when it is needed`,
      ),
    );
  }
  const environments = await Promise.all(
    knownEnvironments(root).map((environment) =>
      checkEnvironment(environment, embedded?.running ?? false, options.signal),
    ),
  );
  return { checks: [...checks, ...environments.flat()] };
}

function checkNode(): Diagnosis {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const isFit = major > 20 || (major === 20 && minor >= 19);
  const version = process.versions.node;
  return isFit
    ? fine('node', version, `${version}`)
    : {
        name: 'node',
        status: 'critical',
        value: version,
        detail: `${version} is too old`,
        fix: 'Install Node.js 20.19 or newer.',
      };
}

async function checkTools(): Promise<Diagnosis> {
  try {
    const [newest, all] = await Promise.all([findClientTools(), listClientTools()]);
    const list = all.map(({ version, folder }: ClientTools) => `${version} (${folder})`).join(', ');
    return fine('client tools', newest.version, `pg_dump, pg_restore, psql ${list}`);
  } catch (error) {
    return failed('client tools', error);
  }
}

async function checkFolders({ stateDir, backupsDir, migrationsDir, root }: Workspace): Promise<readonly Diagnosis[]> {
  const folders = [
    ['workspace', root],
    ['state folder', stateDir],
    ['backups folder', backupsDir],
    ['migrations folder', migrationsDir],
  ] as const;
  return Promise.all(folders.map(([name, path]) => checkFolder(name, path)));
}

async function checkFolder(name: string, path: string): Promise<Diagnosis> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) {
    if (name !== 'migrations folder')
      return {
        name,
        status: 'info',
        value: null,
        detail: `${path} does not exist yet; it is made when it is needed`,
        fix: null,
      };
    return { name, status: 'info', value: null, detail: `${path} does not exist`, fix: 'manage_db init' };
  }
  if (!found.isDirectory()) {
    return { name, status: 'critical', value: path, detail: `${path} is not a folder`, fix: `mv ${path} ${path}.old` };
  }
  try {
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return {
      name,
      status: 'critical',
      value: path,
      detail: `${path} is not writable`,
      fix: `chown -R "$(id -un)" ${path}`,
    };
  }
  const isPrivate = (found.mode & 0o077) === 0;
  if (name === 'backups folder' && !isPrivate && readdirSync(path).some((entry) => !entry.startsWith('.'))) {
    return {
      name,
      status: 'warning',
      value: path,
      detail: `${path} can be entered by others; the backups in it hold everything`,
      fix: `chmod 700 ${path}`,
    };
  }
  return fine(name, path, path);
}

/** `.env` files that others may read. */
function checkSecretFiles({ root }: Workspace): readonly Diagnosis[] {
  const open = readdirSync(root)
    .filter((name) => name === '.env' || (name.startsWith('.env.') && name !== '.env.example'))
    .filter((name) => ((statSync(join(root, name), { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0);
  const [first] = open;
  if (first === undefined) return [];
  return [
    {
      name: '.env files',
      status: 'warning',
      value: open.join(', '),
      detail: `${open.join(', ')}: readable by others`,
      fix: `chmod 600 ${open.map((name) => join(root, name)).join(' ')}`,
    },
  ];
}

async function checkEnvironment(
  environment: string,
  isEmbeddedRunning: boolean,
  signal?: AbortSignal,
): Promise<readonly Diagnosis[]> {
  let report: ConfigReport;
  try {
    report = await describeConfig(environment);
  } catch (error) {
    return [failed(environment, error)];
  }
  const { connection, problems } = report;
  const [problem] = problems;
  if (connection === null || problem !== undefined) {
    if (problem?.code === 'MISSING_SETTING' && problem.details.misspelt === undefined) {
      return [
        {
          name: environment,
          status: 'info',
          value: null,
          detail: 'not configured',
          fix: `Set ${scopedPrefixes(environment)[0]}DATABASE_URL, if you want to use it`,
        },
      ];
    }
    return [failed(environment, problem ?? new Error('no connection'))];
  }
  if (connection.server === 'embedded' && !isEmbeddedRunning) {
    return [
      {
        name: environment,
        status: 'info',
        value: connection.database,
        detail: 'on the embedded server, which is not running',
        fix: null,
      },
    ];
  }
  try {
    const started = performance.now();
    const patient = { ...connection, connectTimeoutMs: Math.min(connection.connectTimeoutMs, PATIENCE_MS) };
    const { client, address, serverVersion, serverMajor } = await openConnection(patient, SINGLE_CLIENT, signal);
    const milliseconds = Math.round(performance.now() - started);
    await client.end();
    const where = `${connection.user}@${formatAddress(address)}/${connection.database}`;
    const reached = fine(
      environment,
      serverVersion,
      `${where}  PostgreSQL ${serverVersion}, answered in ${milliseconds} ms`,
    );
    return [reached, ...(await checkFit(environment, serverMajor, connection.pgBinDir))];
  } catch (error) {
    if (connection.server === 'embedded' && error instanceof ManageDbError && error.code === 'DATABASE_MISSING') {
      return [
        {
          name: environment,
          status: 'info',
          value: connection.database,
          detail: `${connection.database} does not exist yet; it is made when it is first used`,
          fix: null,
        },
      ];
    }
    return [failed(environment, error)];
  }
}

/** Tools that exist but cannot serve this environment's server. */
async function checkFit(
  environment: string,
  serverMajor: number,
  pgBinDir: string | null,
): Promise<readonly Diagnosis[]> {
  try {
    await findClientTools({ serverMajor, binDir: pgBinDir });
    return [];
  } catch (error) {
    return [failed(`${environment} tools`, error)];
  }
}

async function attempt<T>(name: string, checks: Diagnosis[], look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    checks.push(failed(name, error));
    return null;
  }
}

function fine(name: string, value: string, detail: string): Diagnosis {
  return { name, status: 'ok', value, detail, fix: null };
}

function failed(name: string, error: unknown): Diagnosis {
  const fix = error instanceof ManageDbError ? error.hint : null;
  return {
    name,
    status: 'critical',
    value: null,
    detail: redact(messageOf(error)),
    fix: fix === null ? null : redact(fix),
  };
}
