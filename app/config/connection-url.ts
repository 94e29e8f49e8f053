import { ManageDbError } from '../core/errors.js';
import type { HostAddress } from './connection-settings.js';

/** What a PostgreSQL connection URI says, decoded; what it does not say is absent. */
export interface ParsedDatabaseUrl {
  readonly hosts: readonly Partial<HostAddress>[];
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  /** The parameters after `?`, except those above. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Parameters that belong to other tools and are left aside. */
  readonly foreign: readonly string[];
}

/** libpq's parameters that mean something here. */
const KNOWN_PARAMETERS: ReadonlySet<string> = new Set([
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'target_session_attrs',
  'connect_timeout',
  'application_name',
  'options',
  'passfile',
  'service',
]);

/** libpq's parameters that change nothing about which server is reached; `pg` has no counterpart for them. */
const HARMLESS_PARAMETERS: ReadonlySet<string> = new Set([
  'fallback_application_name',
  'client_encoding',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'channel_binding',
  'gssencmode',
  'sslcompression',
  'sslsni',
  'load_balance_hosts',
]);

/** What object mappers and poolers put into their URLs. */
const FOREIGN_PARAMETERS: ReadonlySet<string> = new Set([
  'schema',
  'pgbouncer',
  'connection_limit',
  'pool_timeout',
  'socket_timeout',
  'statement_cache_size',
  'pool_size',
  'serverVersion',
  'charset',
  'uselibpqcompat',
]);

/**
 * Reads a libpq connection URI: several hosts, Unix sockets, percent-encoding. The grammar is that of the PostgreSQL
 * manual, 34.1.1.2 "Connection URIs" (WHATWG's URL knows neither several hosts nor socket folders).
 *
 * @param name the variable or key that holds `url`, for the error.
 * @throws ManageDbError `INVALID_DATABASE_URL`; the message never contains the password.
 * @example parseDatabaseUrl('postgresql://app@db1,db2:5433/clinic?target_session_attrs=read-write', 'DATABASE_URL').hosts
 */
export function parseDatabaseUrl(url: string, name: string): ParsedDatabaseUrl {
  const fail = (what: string): never => {
    throw new ManageDbError('INVALID_DATABASE_URL', `${name} is not a database URL: ${what}.`, {
      hint: 'Write it as postgresql://user:password@host:5432/database, and encode special characters of the password (@ is %40, / is %2F, : is %3A, # is %23, ? is %3F, % is %25).',
      details: { setting: name },
    });
  };
  const decode = (text: string, part: string): string => {
    if (text.includes('\0')) fail(`its ${part} contains a zero byte`);
    try {
      return decodeURIComponent(text);
    } catch {
      return fail(`the percent-encoding of its ${part} is broken`);
    }
  };

  const scheme = /^postgres(?:ql)?:\/\//.exec(url);
  if (scheme === null) return fail(describeWrongStart(url));
  if (/\s/.test(url)) fail('it contains white space');
  if (url.includes('#')) fail('it contains an unencoded "#"');

  const rest = url.slice(scheme[0].length);
  const questionMark = rest.indexOf('?');
  const beforeQuery = questionMark < 0 ? rest : rest.slice(0, questionMark);
  const slash = beforeQuery.indexOf('/');
  const authority = slash < 0 ? beforeQuery : beforeQuery.slice(0, slash);
  const path = slash < 0 ? '' : beforeQuery.slice(slash + 1);
  if (path.includes('/') || path.includes('@')) fail('it has an unencoded "/" or "@" before or in the database name');

  const at = authority.indexOf('@');
  const userInfo = at < 0 ? '' : authority.slice(0, at);
  const hostList = at < 0 ? authority : authority.slice(at + 1);
  if (hostList.includes('@')) fail('it has more than one "@"');
  const colon = userInfo.indexOf(':');
  const user = decode(colon < 0 ? userInfo : userInfo.slice(0, colon), 'user');
  const password = colon < 0 ? '' : decode(userInfo.slice(colon + 1), 'password');
  const namedHosts = parseHosts(hostList, fail, decode);
  let database = decode(path, 'database name');

  const parameters: Record<string, string> = {};
  const foreign: string[] = [];
  const extra: { user?: string; password?: string; host?: string; port?: string } = {};
  for (const pair of questionMark < 0 ? [] : rest.slice(questionMark + 1).split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    if (equals < 1) fail('a parameter after "?" has no "="');
    const key = decode(pair.slice(0, equals), 'parameters');
    const value = decode(pair.slice(equals + 1), `parameter ${key}`);
    if (key === 'dbname') database = value;
    else if (key === 'user' || key === 'password' || key === 'host' || key === 'port') extra[key] = value;
    else if (key === 'ssl' && value === 'true') parameters.sslmode = 'require';
    else if (KNOWN_PARAMETERS.has(key)) parameters[key] = value;
    else if (FOREIGN_PARAMETERS.has(key)) foreign.push(key);
    else if (!HARMLESS_PARAMETERS.has(key)) fail(`it has an unsupported parameter "${key}"`);
  }
  // in this order, whichever of them comes first in the URL
  const addressed = extra.host ? applyHosts(namedHosts, extra.host, fail) : namedHosts;
  const hosts = extra.port ? applyPorts(addressed, extra.port, fail) : addressed;
  const finalUser = extra.user ?? user;
  const finalPassword = extra.password ?? password;
  return {
    hosts,
    ...(finalUser === '' ? {} : { user: finalUser }),
    ...(finalPassword === '' ? {} : { password: finalPassword }),
    ...(database === '' ? {} : { database }),
    parameters,
    foreign,
  };
}

/**
 * The port in `text`, or `null` when it is not one.
 *
 * @example parsePort('5432') // 5432
 */
export function parsePort(text: string): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : null;
}

type Fail = (what: string) => never;
type Decode = (text: string, part: string) => string;

function parseHosts(list: string, fail: Fail, decode: Decode): readonly Partial<HostAddress>[] {
  if (list === '') return [];
  return list.split(',').map((item) => {
    const match = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(item);
    if (match === null) return fail('a host is malformed (IPv6 addresses go in brackets: [::1])');
    const [, rawHost = '', rawPort] = match;
    const host = rawHost.startsWith('[') ? rawHost.slice(1, -1) : decode(rawHost, 'host');
    const port = rawPort === undefined || rawPort === '' ? undefined : parsePort(rawPort);
    if (port === null) fail('its port is not a number from 1 to 65535');
    return { ...(host === '' ? {} : { host }), ...(port == null ? {} : { port }) };
  });
}

/** `postgresql://:5433/db?host=/tmp` has its port before the path; a host there and as a parameter is a contradiction. */
function applyHosts(
  hosts: readonly Partial<HostAddress>[],
  value: string,
  fail: Fail,
): readonly Partial<HostAddress>[] {
  if (hosts.some(({ host }) => host !== undefined)) fail('it names a host both before the path and as a parameter');
  const names = value.split(',');
  if (hosts.length > 0 && hosts.length !== names.length) fail('it has not as many ports as hosts');
  return names.map((host, index) => ({ ...hosts[index], ...(host === '' ? {} : { host }) }));
}

function applyPorts(
  hosts: readonly Partial<HostAddress>[],
  value: string,
  fail: Fail,
): readonly Partial<HostAddress>[] {
  const ports = value.split(',').map((text) => parsePort(text) ?? fail('its port is not a number from 1 to 65535'));
  const targets = hosts.length === 0 ? [{}] : hosts;
  if (ports.length !== 1 && ports.length !== targets.length) fail('it has not as many ports as hosts');
  return targets.map((host, index) => ({ ...host, port: ports[ports.length === 1 ? 0 : index] as number }));
}

function describeWrongStart(url: string): string {
  if (url.trim() === '') return 'it is empty';
  if (/^['"]/.test(url)) return 'it begins with a quotation mark';
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1];
  if (scheme !== undefined) return `it begins with "${scheme}://" instead of "postgresql://"`;
  return 'it does not begin with "postgresql://"';
}
