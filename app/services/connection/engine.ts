import pg from 'pg';
import type { ConnectionSettings, HostAddress } from '../../config/connection-settings.js';
import { getConfig, onConfigChange } from '../../config/db-config.js';
import { registerSecret } from '../../config/redaction.js';
import { codeOf, ManageDbError } from '../../core/errors.js';
import { workspaceRoot } from '../../core/workspace-root.js';
import { PIN_SESSION } from '../catalog-path.js';
import { neutralize } from '../neutral-settings.js';
import { IsolatedClient } from './isolated-client.js';
import { openConnection, SINGLE_CLIENT } from './open-connection.js';
import { closeEngines, current, type Engine, engines } from './open-engines.js';

// not awaited: a pool ends when its last session does, and meanwhile new ones can be opened
onConfigChange(() => void closeEngines());

/**
 * The engine of an environment (the active one by default); made, and the embedded server started, when it is first
 * asked for.
 *
 * @throws ManageDbError the configuration's and the connection's codes
 */
export async function engineFor(env?: string): Promise<Engine> {
  const { connection } = await getConfig(env);
  // two workspaces' embedded servers look alike before they were ever started
  const key = `${connection.server === 'embedded' ? workspaceRoot() : ''}\0${JSON.stringify(connection)}`;
  const known = engines.get(key);
  if (known !== undefined) return known;
  const opening = openEngine(connection, key);
  engines.set(key, opening);
  opening.then(
    (engine) => (engines.get(key) === opening ? current.set(key, engine) : undefined),
    () => (engines.get(key) === opening ? engines.delete(key) : undefined),
  );
  return opening;
}

export interface ConnectOptions {
  /** Another one than in the settings. */
  readonly database?: string;
  readonly signal?: AbortSignal;
}

/**
 * A connection of its own, outside the pools, for instance to the maintenance database. The caller ends it.
 *
 * @throws ManageDbError the connection's codes
 * @example const client = await connectTo(target.settings, { database: 'postgres' });
 */
export async function connectTo(settings: ConnectionSettings, options: ConnectOptions = {}): Promise<pg.Client> {
  const reachable = await startedIfEmbedded(settings);
  const { client } = await openConnection(
    { ...reachable, database: options.database ?? settings.database },
    SINGLE_CLIENT,
    options.signal,
  );
  return client;
}

/**
 * {@link connectTo} for what manage_db itself asks: neither the database's search_path nor anything else that is set for
 * its sessions takes part in it.
 */
export async function connectForOperation(
  settings: ConnectionSettings,
  options: ConnectOptions = {},
): Promise<pg.Client> {
  const client = await connectTo(settings, options);
  try {
    await client.query(PIN_SESSION);
    await neutralize(client, settings.options);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

/** `settings` of a server that runs: the embedded one is started, and its port and password filled in. */
export async function startedIfEmbedded(settings: ConnectionSettings): Promise<ConnectionSettings> {
  if (settings.server !== 'embedded') return settings;
  const { startEmbeddedServer } = await import('../embedded-postgres.js');
  const { host, port, password } = await startEmbeddedServer(workspaceRoot());
  registerSecret(password, [settings.user, settings.database]);
  return { ...settings, hosts: [{ host, port }], password };
}

async function openEngine(configured: ConnectionSettings, key: string): Promise<Engine> {
  const settings = await startedIfEmbedded(configured);
  try {
    return await openPool(settings, key);
  } catch (error) {
    const isMissing = error instanceof ManageDbError && error.code === 'DATABASE_MISSING';
    if (!isMissing || settings.server !== 'embedded') throw error;
    // zero configuration gives a working database: on our own server the first use makes it
    await createEmbeddedDatabase(settings);
    return openPool(settings, key);
  }
}

async function createEmbeddedDatabase(settings: ConnectionSettings): Promise<void> {
  const client = await connectForOperation(settings, { database: 'postgres' });
  try {
    await client.query(`create database ${pg.escapeIdentifier(settings.database)} template template0`);
  } catch (error) {
    // another command was first: both unique_violation and duplicate_database are seen
    if (!['42P04', '23505'].includes(codeOf(error) ?? '')) throw error;
  } finally {
    await client.end();
  }
}

async function openPool(settings: ConnectionSettings, key: string): Promise<Engine> {
  const { pool: limits } = settings;
  let pool: pg.Pool | null = null;
  const opened = await openConnection(settings, {
    async open(config) {
      pool = new pg.Pool({
        ...config,
        Client: IsolatedClient,
        max: limits.max,
        idleTimeoutMillis: limits.idleTimeoutMs,
        // a host application that has nothing else to do may end
        allowExitOnIdle: true,
      } as pg.PoolConfig);
      // an idle client that the server ends must not end the process; the pool replaces it
      pool.on('error', () => undefined);
      try {
        return (await pool.connect()) as pg.PoolClient & IsolatedClient;
      } catch (error) {
        await pool.end();
        throw error;
      }
    },
    async close(client) {
      client.release(true);
      await pool?.end();
    },
  });
  opened.client.release();
  if (pool === null) throw new Error('unreachable: the connection was opened through a pool');
  return {
    key,
    pool,
    settings: { ...settings, hosts: [opened.address] as readonly HostAddress[] },
    serverVersion: opened.serverVersion,
    serverMajor: opened.serverMajor,
  };
}
