import type { ConnectionSettings } from '../../config/connection-settings.js';
import type { EnvironmentConfig } from '../../config/db-config.js';
import { engineFor } from '../../services/connection/engine.js';
import type { Engine } from '../../services/connection/open-engines.js';
import { withMaintenanceConnection } from '../../services/with-connection.js';
import { ManageDbError } from '../errors.js';
import type { Level } from '../levels.js';
import { OPERATIONS, type OperationDefinition, type OperationName } from './operations.js';
import type { Stamp, StampJudgement } from './stamp.js';

/** The database that an operation will work on. */
export interface Target {
  readonly environment: string;
  /** The most that the environment, the stamp and the history of the database say. */
  readonly isProtected: boolean;
  /** With the one host that was chosen. */
  readonly settings: ConnectionSettings;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly serverVersion: string | null;
  readonly serverMajor: number | null;
  readonly exists: boolean;
  /** `null` for operations that only look: they do not ask. */
  readonly stamp: (StampJudgement & { readonly says: Stamp | null; readonly wasEmpty: boolean }) | null;
  /** What the login may do; `null` for operations that only look. */
  readonly level: Level | null;
}

/** A server that was reached, and whether the database is there. */
export interface Located {
  readonly server: Pick<Engine, 'settings' | 'serverVersion' | 'serverMajor'>;
  /** `null`: the database does not exist. */
  readonly engine: Engine | null;
}

/**
 * Connects to the database of `operation`, or to its server where the operation can begin without one.
 *
 * @throws ManageDbError the connection's codes, `DATABASE_MISSING`
 */
export async function locate(operation: OperationName, config: EnvironmentConfig): Promise<Located> {
  const { mayCreateDatabase }: OperationDefinition = OPERATIONS[operation];
  try {
    const engine = await engineFor();
    return { server: engine, engine };
  } catch (error) {
    const isMissing = error instanceof ManageDbError && error.code === 'DATABASE_MISSING';
    if (!isMissing || !mayCreateDatabase) throw error;
    return { server: await maintenanceServer(config.connection), engine: null };
  }
}

export function targetOf(
  { environment, security }: EnvironmentConfig,
  { server, engine }: Located,
  known: Partial<Pick<Target, 'isProtected' | 'stamp' | 'level'>> = {},
): Target {
  const { settings } = server;
  return {
    environment,
    isProtected: known.isProtected ?? security.protected,
    settings,
    host: settings.hosts[0]?.host ?? '',
    port: settings.hosts[0]?.port ?? 0,
    database: settings.database,
    user: settings.user,
    serverVersion: server.serverVersion,
    serverMajor: server.serverMajor,
    exists: engine !== null,
    stamp: known.stamp ?? null,
    level: known.level ?? null,
  };
}

/** The server of a database that does not exist yet, asked through its maintenance database. */
function maintenanceServer(settings: ConnectionSettings): Promise<Located['server']> {
  return withMaintenanceConnection(settings, async (client) => {
    const { rows } = await client.query<{ version: string }>(
      `select pg_catalog.current_setting('server_version') as version`,
    );
    const serverVersion = rows[0]?.version.split(' ')[0] ?? '';
    const address = { host: client.host, port: client.port };
    return {
      settings: { ...settings, hosts: [address] },
      serverVersion,
      serverMajor: Number.parseInt(serverVersion, 10),
    };
  });
}
