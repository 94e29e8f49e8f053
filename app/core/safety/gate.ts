import type { ConnectionSettings } from '../../config/connection-settings.js';
import { type EnvironmentConfig, getConfig } from '../../config/db-config.js';
import { engineFor } from '../../services/connection/engine.js';
import type { Engine } from '../../services/connection/open-engines.js';
import { withMaintenanceConnection } from '../../services/with-connection.js';
import { currentEnv, withEnvironment } from '../environment.js';
import { ManageDbError } from '../errors.js';
import type { OperationControls } from '../progress.js';
import type { AskConsent, Consent } from './consent.js';
import { decide } from './decide.js';
import { OPERATIONS, type OperationDefinition, type OperationName } from './operations.js';

/** What every operation accepts. */
export interface OperationOptions extends OperationControls {
  /** The environment, named for this call; the active one where absent. */
  readonly env?: string;
  readonly consent?: Consent;
  /** Says what would be done, and does nothing: nobody has to agree to that. Refused where there is no dry run. */
  readonly dryRun?: boolean | undefined;
  /** Asks a person at a terminal for the consent that is missing. Without it the operation is refused. */
  readonly ask?: AskConsent;
  /** Told which database it will be, before anything happens to it. */
  readonly onTarget?: (target: Target) => void;
}

/** The database that an operation will work on. */
export interface Target {
  readonly environment: string;
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
}

/**
 * The gate: finds out which database is meant, says so, decides, and only then runs `fn`, with the environment pinned
 * for everything in it. Every exported operation passes here.
 *
 * @throws ManageDbError `CONFIRMATION_REQUIRED`, `CONFIRMATION_MISMATCH`, `PROTECTED_ENVIRONMENT` when refused; the
 *   configuration's and the connection's codes
 * @example
 * export function dropAllTables(options: OperationOptions) {
 *   return guarded('drop-all-tables', options, (target) => dropEverything(target, options));
 * }
 */
export async function guarded<T>(
  operation: OperationName,
  options: OperationOptions,
  fn: (target: Target) => Promise<T>,
): Promise<T> {
  const environment = options.env ?? currentEnv();
  return withEnvironment(
    environment,
    async () => {
      const config = await getConfig();
      refuseEarly(operation, options, config);
      const target = await findTarget(operation, config);
      options.onTarget?.(target);
      if (options.signal?.aborted) throw new ManageDbError('INTERRUPTED', 'Interrupted; nothing was begun.');
      return fn(target);
    },
    options.env === undefined ? 'the active environment' : '--env',
  );
}

function refuseEarly(operation: OperationName, options: OperationOptions, config: EnvironmentConfig): void {
  const decision = decide(
    {
      operation,
      consent: options.consent ?? {},
      isDryRun: options.dryRun === true,
      isEnvironmentExplicit: options.env !== undefined,
    },
    {
      environment: config.environment,
      database: config.connection.database,
      security: config.security,
      isOwnServer: config.connection.server === 'embedded',
    },
  );
  if (decision.kind === 'allow') return;
  throw new ManageDbError(decision.code, decision.reason, {
    hint: decision.hint,
    details: { operation, environment: config.environment, database: config.connection.database },
  });
}

async function findTarget(operation: OperationName, config: EnvironmentConfig): Promise<Target> {
  const { mayCreateDatabase }: OperationDefinition = OPERATIONS[operation];
  try {
    return targetOf(config, await engineFor(), true);
  } catch (error) {
    const isMissing = error instanceof ManageDbError && error.code === 'DATABASE_MISSING';
    if (!isMissing || !mayCreateDatabase) throw error;
    return targetOf(config, await maintenanceServer(config.connection), false);
  }
}

/** The server of a database that does not exist yet, asked through its maintenance database. */
function maintenanceServer(
  settings: ConnectionSettings,
): Promise<Pick<Engine, 'settings' | 'serverVersion' | 'serverMajor'>> {
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

function targetOf(
  config: EnvironmentConfig,
  server: Pick<Engine, 'settings' | 'serverVersion' | 'serverMajor'>,
  exists: boolean,
): Target {
  const { settings } = server;
  return {
    environment: config.environment,
    isProtected: config.security.protected,
    settings,
    host: settings.hosts[0]?.host ?? '',
    port: settings.hosts[0]?.port ?? 0,
    database: settings.database,
    user: settings.user,
    serverVersion: server.serverVersion,
    serverMajor: server.serverMajor,
    exists,
  };
}
