import pg from 'pg';
import { workspaceEnvironments } from '../../app/config/workspace-environments.js';
import { readStampStatus, type StampStatus } from '../../app/core/db-operations/stamp.js';
import { messageOf } from '../../app/core/errors.js';
import { isProtected, type Protection } from '../../app/core/safety/decide.js';
import { protectedEnvironmentAt } from '../../app/core/safety/endpoints.js';
import { isOwnCluster } from '../../app/core/safety/facts.js';
import { readServerAccess } from '../../app/database/catalog/server-access.js';
import { readObservation } from '../../app/database/records/observation.js';
import {
  type ConfigReport,
  type ConnectionSettings,
  describeConfig,
  discover,
  getDbSession,
  type ManageDbError,
} from '../../app/index.js';
import { findClientTools } from '../../app/services/client-tools.js';
import { engineFor, startedIfEmbedded } from '../../app/services/connection/engine.js';
import { asManageDbError } from '../../app/services/database-errors.js';
import { withConnection, withMaintenanceConnection } from '../../app/services/with-connection.js';

/** What the selected environment's database is, as far as looking can tell. */
export type DatabaseState =
  | { readonly state: 'there'; readonly serverVersion: string; readonly isEmpty: boolean }
  | { readonly state: 'missing' | 'unreachable'; readonly error: ManageDbError }
  | { readonly state: 'unconfigured' };

/** The installation that is tested, looked at once, before the first test. */
export interface Installation {
  readonly root: string;
  /** All that the workspace knows. */
  readonly environments: readonly string[];
  /** The selected environment; `null` where it cannot be told. */
  readonly environment: string | null;
  readonly config: ConfigReport | null;
  /** How its server is reached, with the password that works; `null` where nobody knows. */
  readonly connection: ConnectionSettings | null;
  /** What is wrong with the environment or its configuration, if anything. */
  readonly problem: ManageDbError | null;
  readonly database: DatabaseState;
  readonly stamp: StampStatus | null;
  /** Why nothing may be created, and so features are not tested on scratch databases; `null` when they are. */
  readonly readOnlyBecause: string | null;
  /** Why what needs pg_dump cannot be tested. */
  readonly toolsProblem: ManageDbError | null;
}

/** Looks at the workspace at `root`, and at the environment `env` or the active one. Starts the embedded server, if it is there. */
export async function lookAtInstallation(root: string, env: string | undefined): Promise<Installation> {
  const environments = await workspaceEnvironments(root).catch(() => []);
  const none = {
    root,
    environments,
    config: null,
    connection: null,
    stamp: null,
    toolsProblem: null,
    database: { state: 'unconfigured' },
  } as const;
  let environment: string | null = null;
  let config: ConfigReport;
  try {
    environment = env ?? discover(root).environment;
    config = await describeConfig(environment);
  } catch (error) {
    const problem = asManageDbError(error);
    return { ...none, environment, problem, readOnlyBecause: because(environment, problem) };
  }
  environment = config.environment;
  const { connection: configured, problems } = config;
  const [problem = null] = problems;
  if (configured === null || problem !== null) {
    return { ...none, environment, config, problem, readOnlyBecause: because(environment, problem) };
  }
  const database = await lookAtDatabase(environment, configured);
  const connection = database.state === 'there' ? (await engineFor(environment)).settings : configured;
  const { status: stamp } = database.state === 'there' ? await readStampStatus(environment) : { status: null };
  const serverMajor = database.state === 'there' ? { serverMajor: Number.parseInt(database.serverVersion, 10) } : {};
  const toolsProblem = await findClientTools({ ...serverMajor, binDir: connection.pgBinDir }).then(
    () => null,
    (error: unknown) => asManageDbError(error),
  );
  const readOnlyBecause = await whyReadOnly(config, connection, { database, stamp });
  return {
    root,
    environments,
    environment,
    config,
    connection,
    problem: null,
    database,
    stamp,
    toolsProblem,
    readOnlyBecause,
  };
}

function because(environment: string | null, problem: ManageDbError | null): string {
  const what =
    environment === null
      ? 'it cannot be told which environment is active'
      : `${environment} has no usable configuration`;
  return problem === null ? what : `${what} (${problem.code})`;
}

async function lookAtDatabase(environment: string, connection: ConnectionSettings): Promise<DatabaseState> {
  try {
    const reachable = await startedIfEmbedded(connection);
    const { rows } = await getDbSession((session) => session.query<{ version: string }>(VERSION), {
      env: environment,
      readOnly: true,
    });
    const { isEmpty } = await withConnection(reachable, {}, readObservation);
    return { state: 'there', serverVersion: rows[0]?.version ?? '', isEmpty };
  } catch (thrown) {
    const error = asManageDbError(thrown);
    return { state: error.code === 'DATABASE_MISSING' ? 'missing' : 'unreachable', error };
  }
}

const VERSION = `select pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1) as version`;

interface Seen {
  readonly database: DatabaseState;
  readonly stamp: StampStatus | null;
}

/** What counts as protected is for the gate to judge. */
async function whyReadOnly(
  { environment, security }: ConfigReport,
  connection: ConnectionSettings,
  { database, stamp }: Seen,
): Promise<string | null> {
  if (security.protected) return `${environment} is protected: nothing is created there`;
  if (database.state === 'unreachable')
    return `the server of ${environment} cannot be reached (${database.error.code})`;
  if (database.state === 'there' && stamp === null)
    return 'the stamp of the database cannot be read: nothing is created there';
  const server = await withMaintenanceConnection(connection, readServerAccess).catch(messageOf);
  if (typeof server === 'string') return `no database can be created there: ${server}`;
  const isOwnServer = isOwnCluster(server.systemIdentifier);
  const facts: Protection = {
    security,
    stamp: { state: stamp?.state ?? 'missing', says: stamp?.stamp ?? null },
    isEmpty: database.state !== 'there' || database.isEmpty,
    isOwnServer,
    endpointOf: isOwnServer ? null : await protectedEnvironmentAt(environment, connection),
  };
  if (isProtected(facts)) return `${whyProtected(environment, facts)}: nothing is created there`;
  return server.mayCreateDatabases
    ? null
    : `${server.login} may not create databases there (as a superuser: alter role ${pg.escapeIdentifier(server.login)} createdb)`;
}

function whyProtected(environment: string, { stamp, endpointOf }: Protection): string {
  if (endpointOf !== null) return `the database is the one of ${endpointOf}, which is protected`;
  if (stamp.says?.protected === true) return 'the database is stamped as protected';
  return `nobody has said yet what the database is (manage_db stamp-database --env ${environment})`;
}
