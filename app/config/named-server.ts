import { ManageDbError } from '../core/errors.js';
import type { HostAddress } from './connection-settings.js';
import { type ParsedDatabaseUrl, parseDatabaseUrl, parsePort } from './connection-url.js';
import type { SourcedValue } from './layer-reader.js';
import { readService } from './pg-service.js';

export type ConnectionPart =
  | 'host'
  | 'user'
  | 'password'
  | 'database'
  | 'sslMode'
  | 'sslRootCert'
  | 'sslCert'
  | 'sslKey'
  | 'targetSessionAttrs'
  | 'connectTimeoutMs'
  | 'applicationName'
  | 'options'
  | 'passfile';

/** What the value that names the server says; what it does not say is absent. */
export interface PartialSource {
  readonly hosts: readonly Partial<HostAddress>[];
  readonly parts: Partial<Record<ConnectionPart, SourcedValue>>;
  readonly foreignParameters: readonly string[];
}

/** libpq's names of the parameters that a URL or a service file may hold. */
const PARAMETER_OF: Readonly<Record<string, ConnectionPart>> = {
  user: 'user',
  password: 'password',
  dbname: 'database',
  sslmode: 'sslMode',
  sslrootcert: 'sslRootCert',
  sslcert: 'sslCert',
  sslkey: 'sslKey',
  target_session_attrs: 'targetSessionAttrs',
  connect_timeout: 'connectTimeoutMs',
  application_name: 'applicationName',
  options: 'options',
  passfile: 'passfile',
};

/** What a database URL says, and the service that it may name. */
export function fromUrl(url: SourcedValue): PartialSource {
  const parsed: ParsedDatabaseUrl = parseDatabaseUrl(url.value, url.name);
  const parameters = {
    ...parsed.parameters,
    ...(parsed.user === undefined ? {} : { user: parsed.user }),
    ...(parsed.password === undefined ? {} : { password: parsed.password }),
    ...(parsed.database === undefined ? {} : { dbname: parsed.database }),
  };
  const own = { hosts: parsed.hosts, parts: partsOf(parameters, url), foreignParameters: parsed.foreign };
  if (parsed.parameters.service === undefined) return own;
  const service = fromService({ ...url, value: parsed.parameters.service });
  return {
    hosts: own.hosts.length > 0 ? own.hosts : service.hosts,
    parts: { ...service.parts, ...own.parts },
    foreignParameters: own.foreignParameters,
  };
}

/** What a section of a service file says. */
export function fromService(service: SourcedValue): PartialSource {
  const { host, hostaddr, port, ...parameters } = readService(service.value);
  if (hostaddr !== undefined) {
    throw new ManageDbError(
      'INVALID_CONFIGURATION',
      `The service "${service.value}" sets hostaddr, which is not supported.`,
      {
        hint: 'Put the address into "host" instead.',
      },
    );
  }
  const names = host === undefined ? [undefined] : host.split(',');
  const ports = port === undefined ? [] : port.split(',');
  const hosts = names.map((name, index) => ({
    ...(name === undefined ? {} : { host: name }),
    ...(ports.length === 0 ? {} : { port: portOrFail(ports[ports.length === 1 ? 0 : index] ?? '', service) }),
  }));
  return { hosts, parts: partsOf(parameters, service), foreignParameters: [] };
}

function partsOf(
  parameters: Readonly<Record<string, string>>,
  from: SourcedValue,
): Partial<Record<ConnectionPart, SourcedValue>> {
  const parts: Partial<Record<ConnectionPart, SourcedValue>> = {};
  for (const [parameter, value] of Object.entries(parameters)) {
    const part = PARAMETER_OF[parameter];
    if (part === undefined || value === '') continue;
    parts[part] = { ...from, value: parameter === 'connect_timeout' ? String(Number(value) * 1000) : value };
  }
  return parts;
}

/** The port in `text`; the error names where it was found. */
export function portOrFail(text: string, from: SourcedValue): number {
  const port = parsePort(text);
  if (port !== null) return port;
  throw new ManageDbError('INVALID_CONFIGURATION', `${from.source} is not a port: ${JSON.stringify(text)}.`, {
    hint: 'A port is a number from 1 to 65535.',
  });
}
