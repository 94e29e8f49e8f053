import { formatDatabaseUrl } from '../config/database-url.js';
import { getConfig, reloadConfig } from '../config/db-config.js';
import { EXPORTED_FOR } from '../config/value-layers.js';
import { startedIfEmbedded } from './connection/engine.js';

/** What {@link setupEnvironment} has put into `process.env`. */
export interface ApplicationEnvironment {
  readonly environment: string;
  /** The names that were set; their values hold the password. */
  readonly variables: readonly string[];
}

/**
 * Puts the resolved settings of an environment (the active one by default) into `process.env`, for a host application
 * that reads them from there. What it puts there counts for this environment only, in this process and its children: `DATABASE_URL`, `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGDATABASE`, `PGSSLMODE`,
 * `MANAGE_DB_ENV` and, where it has none, `APP_ENV`. Starts the embedded server where that is the database. Call it
 * before anything that connects.
 *
 * @throws ManageDbError the configuration's codes; `EMBEDDED_SERVER_FAILED`
 * @example
 * await setupEnvironment();
 * const { app } = await import('./app.js');
 */
export async function setupEnvironment(env?: string): Promise<ApplicationEnvironment> {
  const { connection, environment } = await getConfig(env);
  const settings = await startedIfEmbedded(connection);
  const variables: Record<string, string> = {
    MANAGE_DB_ENV: environment,
    [EXPORTED_FOR]: environment,
    ...(process.env.APP_ENV ? {} : { APP_ENV: environment }),
    DATABASE_URL: formatDatabaseUrl(settings, 'shown'),
    PGHOST: settings.hosts.map(({ host }) => host).join(','),
    PGPORT: settings.hosts.map(({ port }) => port).join(','),
    PGUSER: settings.user,
    PGDATABASE: settings.database,
    PGSSLMODE: settings.ssl.mode,
    PGTARGETSESSIONATTRS: settings.targetSessionAttrs,
    ...(settings.password === null ? {} : { PGPASSWORD: settings.password }),
  };
  // one that was set for another database must not survive beside these
  for (const name of ['PGHOSTADDR', 'PGSERVICE', 'PGOPTIONS', ...(settings.password === null ? ['PGPASSWORD'] : [])]) {
    delete process.env[name];
  }
  Object.assign(process.env, variables);
  reloadConfig(environment);
  return { environment, variables: Object.keys(variables) };
}
