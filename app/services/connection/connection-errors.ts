import { escapeIdentifier } from 'pg';
import type { ConnectionSettings, HostAddress } from '../../config/connection-settings.js';
import { formatAddress } from '../../config/database-url.js';
import { redact } from '../../config/redaction.js';
import { codeOf, type ErrorCode, errorWith, ManageDbError, messageOf } from '../../core/errors.js';

/** What went wrong when connecting, by the SQLSTATE or the system's code. */
const KINDS: Readonly<Record<string, ErrorCode>> = {
  ECONNREFUSED: 'CONNECTION_REFUSED',
  ENOENT: 'CONNECTION_REFUSED',
  EHOSTUNREACH: 'CONNECTION_REFUSED',
  ENETUNREACH: 'CONNECTION_REFUSED',
  EACCES: 'CONNECTION_REFUSED',
  ENOTFOUND: 'HOST_NOT_FOUND',
  EAI_AGAIN: 'HOST_NOT_FOUND',
  ETIMEDOUT: 'CONNECTION_TIMEOUT',
  ECONNRESET: 'CONNECTION_LOST',
  EPIPE: 'CONNECTION_LOST',
  '28P01': 'AUTHENTICATION_FAILED',
  '28000': 'AUTHENTICATION_FAILED',
  '3D000': 'DATABASE_MISSING',
  '42501': 'PERMISSION_DENIED',
  '53300': 'TOO_MANY_CONNECTIONS',
  '57P03': 'SERVER_UNAVAILABLE',
  '57P01': 'CONNECTION_LOST',
  '57P02': 'CONNECTION_LOST',
  '08P01': 'CONNECTION_LOST',
};

/**
 * Why a connection could not be made, in words: which environment, host and database, and what to try.
 */
export function connectionError(error: unknown, settings: ConnectionSettings, address: HostAddress): ManageDbError {
  if (error instanceof ManageDbError) return error;
  const kind = kindOf(error) ?? 'CONNECTION_REFUSED';
  // what was never there cannot be lost
  return describe(kind === 'CONNECTION_LOST' ? 'CONNECTION_REFUSED' : kind, error, settings, address);
}

/**
 * The loss of a connection that was in use.
 *
 * @param when while `committing` nobody can know whether the commit arrived
 */
export function connectionLost(
  error: unknown,
  settings: ConnectionSettings,
  when: 'working' | 'committing',
): ManageDbError {
  const lost = describe('CONNECTION_LOST', error, settings, addressOf(settings));
  if (when === 'working') return lost;
  return new ManageDbError(
    'CONNECTION_LOST',
    `${lost.message} It was committing: whether the commit arrived is not known.`,
    {
      hint: 'Look whether the change is there before you repeat it.',
      details: lost.details,
      cause: error,
    },
  );
}

/** Whether the server or the network ended the connection, rather than a statement or the application failing. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const isServers = 'severity' in error && /^(08|57P0[1-4])/.test(codeOf(error) ?? '');
  return isServers || /^Connection terminated|^Client has encountered a connection error/.test(error.message);
}

/** The one host that an engine's settings name. */
export function addressOf(settings: ConnectionSettings): HostAddress {
  return settings.hosts[0] ?? { host: 'unknown', port: 0 };
}

function describe(code: ErrorCode, error: unknown, settings: ConnectionSettings, address: HostAddress): ManageDbError {
  const target = `${settings.environment} (${settings.user}@${formatAddress(address)}/${settings.database})`;
  const said = redact(messageOf(error));
  return errorWith(code, message(code, target, settings, said), {
    hint: hintFor(code, settings, address),
    details: {
      environment: settings.environment,
      host: address.host,
      port: address.port,
      database: settings.database,
      user: settings.user,
      reason: codeOf(error) ?? said,
    },
    cause: error,
  });
}

function kindOf(error: unknown): ErrorCode | null {
  if (error instanceof AggregateError) return error.errors.map(kindOf).find((kind) => kind !== null) ?? null;
  const known = KINDS[codeOf(error) ?? ''];
  if (known !== undefined) return known;
  const said = messageOf(error);
  if (/timeout expired|timeout exceeded|Connection terminated due to connection timeout/.test(said))
    return 'CONNECTION_TIMEOUT';
  if (/Connection terminated|connection is closed|not queryable/i.test(said)) return 'CONNECTION_LOST';
  if (
    /SSL|certificate|TLS|self-signed|Hostname\/IP does not match/i.test(said) ||
    /^(ERR_TLS|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|ERR_SSL)/.test(codeOf(error) ?? '')
  ) {
    return 'SSL_FAILED';
  }
  return null;
}

function message(code: ErrorCode, target: string, settings: ConnectionSettings, said: string): string {
  switch (code) {
    case 'CONNECTION_REFUSED':
      return `Cannot reach ${target}: nobody lets us in there (${said}).`;
    case 'CONNECTION_TIMEOUT':
      return `Cannot reach ${target}: no answer within ${settings.connectTimeoutMs / 1000} s.`;
    case 'HOST_NOT_FOUND':
      return `Cannot reach ${target}: the host name is not known (${said}).`;
    case 'AUTHENTICATION_FAILED':
      return `${target} does not let us in: ${said}.`;
    case 'PERMISSION_DENIED':
      return `${target} may not be connected to: ${said}.`;
    case 'DATABASE_MISSING':
      return `${target}: the database "${settings.database}" does not exist.`;
    case 'TOO_MANY_CONNECTIONS':
      return `${target} has no connection left: ${said}.`;
    case 'SERVER_UNAVAILABLE':
      return `${target} is not ready: ${said}.`;
    case 'SSL_FAILED':
      return `No connection to ${target} under sslmode=${settings.ssl.mode}: ${said}.`;
    default:
      return `The connection to ${target} was lost: ${said}.`;
  }
}

function hintFor(code: ErrorCode, settings: ConnectionSettings, address: HostAddress): string {
  const env = `--env ${settings.environment}`;
  switch (code) {
    case 'AUTHENTICATION_FAILED':
      return `Check user and password and where they come from: manage_db show-config ${env}`;
    case 'PERMISSION_DENIED':
      return permissionHint(settings);
    case 'DATABASE_MISSING':
      return `Create it: manage_db initialize-db ${env}. Or correct its name: manage_db show-config ${env}`;
    case 'TOO_MANY_CONNECTIONS':
      return 'End idle sessions or raise max_connections; DATABASE_POOL_MAX limits how many manage_db opens.';
    case 'SERVER_UNAVAILABLE':
      return 'The server is starting, stopping or recovering: try again in a moment.';
    case 'SSL_FAILED':
      return `Check sslmode and sslrootcert: manage_db show-config ${env}`;
    case 'CONNECTION_LOST':
      return "Look into the server's log. A transaction that was open is rolled back by the server.";
    default:
      return settings.server === 'embedded'
        ? 'Look at the embedded server: manage_db embedded-db status'
        : `Is the server running, and does its port let you in? pg_isready -h ${address.host} -p ${address.port}. Settings: manage_db show-config ${env}`;
  }
}

/** The server says one and the same SQLSTATE of a database and of a setting that it refuses, the words in its own language. */
function permissionHint({ environment, database, user, options }: ConnectionSettings): string {
  const grant = `Its owner can allow it: grant connect on database ${escapeIdentifier(database)} to ${escapeIdentifier(user)};`;
  if (options === null) return grant;
  return `${grant} Or the login may not set what the options of ${environment} say: manage_db show-config --env ${environment}`;
}
