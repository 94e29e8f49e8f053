import type pg from 'pg';
import type { ConnectionSettings, HostAddress, TargetSessionAttrs } from '../../config/connection-settings.js';
import { formatAddress } from '../../config/database-url.js';
import { type ErrorCode, ManageDbError } from '../../core/errors.js';
import { stopIfAborted } from '../../core/progress.js';
import { connectionError } from './connection-errors.js';
import { IsolatedClient } from './isolated-client.js';
import { passwordFromFile } from './password-file.js';
import { type SslAttempt, sslAttempts } from './ssl-options.js';

/** The oldest PostgreSQL major version that works (`CREATE OR REPLACE TRIGGER` came with it). */
const OLDEST_MAJOR = 14;

/** A way in that works: the one host that was chosen, with everything `pg` needs to go there again. */
export interface OpenedConnection<Client extends IsolatedClient = IsolatedClient> {
  readonly client: Client;
  readonly config: pg.ClientConfig;
  readonly address: HostAddress;
  readonly serverVersion: string;
  readonly serverMajor: number;
}

/** How one attempt is made and given up; by default a client of its own, for the engine through its pool. */
export interface ConnectionOpener<Client extends IsolatedClient> {
  open(config: pg.ClientConfig): Promise<Client>;
  close(client: Client): Promise<void>;
}

/**
 * Connects as libpq would: each host in turn, each TLS attempt in turn, until one is let in and has the wanted
 * `target_session_attrs`. Every attempt ends within `connectTimeoutMs`.
 *
 * @throws ManageDbError one of the connection codes, of the last host tried; `SERVER_TOO_OLD`, `TARGET_SESSION_ATTRS`
 */
export async function openConnection<Client extends IsolatedClient>(
  settings: ConnectionSettings,
  opener: ConnectionOpener<Client>,
  signal?: AbortSignal,
): Promise<OpenedConnection<Client>> {
  const wanted = settings.targetSessionAttrs;
  // prefer-standby: any host will do, but only once no standby was found
  const passes: readonly TargetSessionAttrs[] = wanted === 'prefer-standby' ? ['standby', 'any'] : [wanted];
  let failure: ManageDbError | null = null;
  for (const attributes of passes) {
    for (const address of settings.hosts) {
      stopIfAborted(signal);
      const outcome = await tryHost(settings, address, attributes, opener);
      if (!(outcome instanceof ManageDbError)) return outcome;
      failure = outcome;
      if (ANSWERS.includes(outcome.code)) throw outcome;
    }
  }
  throw failure ?? new ManageDbError('INVALID_CONFIGURATION', `${settings.environment} has no host.`);
}

/** A wrong password, a missing right or a missing database is an answer, not a reason to look elsewhere. */
const ANSWERS: readonly ErrorCode[] = ['AUTHENTICATION_FAILED', 'PERMISSION_DENIED', 'DATABASE_MISSING'];

/** One client on its own, which the caller ends. */
export const SINGLE_CLIENT: ConnectionOpener<IsolatedClient> = {
  async open(config) {
    const client = new IsolatedClient(config);
    client.on('error', ignore);
    try {
      await client.connect();
    } catch (error) {
      await client.end().catch(ignore);
      throw error;
    }
    return client;
  },
  close: (client) => client.end(),
};

async function tryHost<Client extends IsolatedClient>(
  settings: ConnectionSettings,
  address: HostAddress,
  attributes: TargetSessionAttrs,
  opener: ConnectionOpener<Client>,
): Promise<OpenedConnection<Client> | ManageDbError> {
  let failure: ManageDbError | null = null;
  try {
    const password = settings.password ?? (await passwordFromFile(settings, address));
    for (const ssl of await sslAttempts(settings, address)) {
      const config = clientConfig(settings, address, password, ssl);
      let client: Client;
      try {
        client = await opener.open(config);
      } catch (error) {
        // the first attempt's reason is the telling one, unless it only said that TLS is not offered
        const reason = connectionError(error, settings, address);
        if (failure === null || failure.code === 'SSL_FAILED') failure = reason;
        if (
          reason.code === 'CONNECTION_REFUSED' ||
          reason.code === 'HOST_NOT_FOUND' ||
          reason.code === 'CONNECTION_TIMEOUT'
        )
          break;
        continue;
      }
      const opened = describe(client, config, address);
      const refusal = tooOld(opened, settings) ?? wrongSession(opened, attributes, settings);
      if (refusal === null) return opened;
      await opener.close(client);
      return refusal;
    }
  } catch (error) {
    failure = connectionError(error, settings, address);
  }
  return failure ?? connectionError(new Error('no attempt was made'), settings, address);
}

function clientConfig(
  settings: ConnectionSettings,
  address: HostAddress,
  password: string | null,
  ssl: SslAttempt,
): pg.ClientConfig {
  return {
    host: address.host,
    port: address.port,
    user: settings.user,
    database: settings.database,
    // asked for only when the server wants one; a function also keeps `pg` from looking into PGPASSWORD
    password: () => {
      if (password !== null) return password;
      throw new ManageDbError(
        'AUTHENTICATION_FAILED',
        `${settings.environment} (${settings.user}@${formatAddress(address)}/${settings.database}) asks for a password, and none is configured.`,
        {
          hint: `Put it into the URL, DATABASE_PASSWORD_FILE or ~/.pgpass (mode 0600); see manage_db show-config --env ${settings.environment}`,
        },
      );
    },
    ssl,
    connectionTimeoutMillis: settings.connectTimeoutMs,
    application_name: settings.applicationName,
    keepAlive: true,
    ...(settings.options === null ? {} : { options: settings.options }),
  };
}

function ignore(): void {
  // whoever waits for this client's next query is told; without a listener Node would end the process
}

function describe<Client extends IsolatedClient>(
  client: Client,
  config: pg.ClientConfig,
  address: HostAddress,
): OpenedConnection<Client> {
  const serverVersion = (client.serverParameters.get('server_version') ?? '').split(' ')[0] ?? '';
  return { client, config, address, serverVersion, serverMajor: Number.parseInt(serverVersion, 10) };
}

function tooOld({ serverMajor, serverVersion }: OpenedConnection, settings: ConnectionSettings): ManageDbError | null {
  if (!(serverMajor < OLDEST_MAJOR)) return null;
  return new ManageDbError(
    'SERVER_TOO_OLD',
    `${settings.environment} runs PostgreSQL ${serverVersion}; manage_db needs ${OLDEST_MAJOR} or newer. Nothing was done there.`,
    {
      hint: `Upgrade the server (pg_upgrade), or point the environment elsewhere: manage_db show-config --env ${settings.environment}`,
    },
  );
}

function wrongSession(
  opened: OpenedConnection,
  attributes: TargetSessionAttrs,
  settings: ConnectionSettings,
): ManageDbError | null {
  // reported by the server at connection since 14: no query is needed
  const isStandby = opened.client.serverParameters.get('in_hot_standby') === 'on';
  const isReadOnly = isStandby || opened.client.serverParameters.get('default_transaction_read_only') === 'on';
  const fits: Readonly<Record<TargetSessionAttrs, boolean>> = {
    any: true,
    'read-write': !isReadOnly,
    'read-only': isReadOnly,
    primary: !isStandby,
    standby: isStandby,
    'prefer-standby': true,
  };
  if (fits[attributes]) return null;
  return new ManageDbError(
    'TARGET_SESSION_ATTRS',
    `${settings.environment}: ${formatAddress(opened.address)} is ${isStandby ? 'a standby' : isReadOnly ? 'read-only' : 'a primary'}, but target_session_attrs=${attributes} is wanted.`,
    { hint: 'List the other hosts in the URL (host1,host2), or change target_session_attrs.' },
  );
}
