import { existsSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { ManageDbError } from '../core/errors.js';
import type { HostAddress, SslSettings } from './connection-settings.js';
import { type ParsedDatabaseUrl, parseDatabaseUrl, parsePort } from './connection-url.js';
import { readService } from './pg-service.js';
import { fetchSecret } from './secrets.js';
import type { SettingName } from './setting-names.js';
import { SETTINGS } from './setting-names.js';
import type { RawValue, ValueLayer } from './value-layers.js';

/** A resolved value and where it came from. */
export interface SourcedValue {
  readonly value: string;
  readonly source: string;
  /** The variable or key that a person would change. */
  readonly name: string;
  /** Position of its layer: smaller is stronger. */
  readonly rank: number;
}

/** Which server, which database, as whom: gathered from the layers, not yet validated as a whole. */
export interface ConnectionSource {
  readonly hosts: readonly HostAddress[];
  readonly parts: Readonly<Partial<Record<ConnectionPart, SourcedValue>>>;
  readonly foreignParameters: readonly string[];
}

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

/** Looks values up through the layers that a setting may come from. */
export class LayerReader {
  constructor(
    private readonly layers: readonly ValueLayer[],
    private readonly isProtected: boolean,
    private readonly root: string,
  ) {}

  /** The strongest value of `setting`, its secret fetched; `null` where none is set. */
  async read(setting: SettingName): Promise<SourcedValue | null> {
    for (const rank of this.layers.keys()) {
      const found = await this.readAt(setting, rank);
      if (found !== null) return found;
    }
    return null;
  }

  async readAt(setting: SettingName, rank: number): Promise<SourcedValue | null> {
    const raw = this.mayUse(setting, rank) ? (this.layers[rank]?.read(setting) ?? null) : null;
    return raw === null ? null : { value: await this.fetch(raw), source: raw.source, name: raw.name, rank };
  }

  /** Whether one of `settings` stands in layer `rank` and may be used from there. */
  has(settings: readonly SettingName[], rank: number): boolean {
    return settings.some((setting) => this.mayUse(setting, rank) && this.layers[rank]?.read(setting) != null);
  }

  /** Connection settings that are there but must not be used, because they are not written for this environment. */
  withheld(): readonly RawValue[] {
    return this.layers.flatMap((layer, rank) =>
      (['databaseUrl', 'service', 'host', 'database'] as const).flatMap((setting) => {
        const raw = this.mayUse(setting, rank) ? null : layer.read(setting);
        return raw === null ? [] : [raw];
      }),
    );
  }

  isScoped(rank: number): boolean {
    return this.layers[rank]?.isScoped === true;
  }

  get ranks(): readonly number[] {
    return [...this.layers.keys()];
  }

  private mayUse(setting: SettingName, rank: number): boolean {
    return !this.isProtected || !SETTINGS[setting].isConnection || this.layers[rank]?.isScoped === true;
  }

  private fetch(raw: RawValue): Promise<string> {
    return typeof raw.value === 'string' ? Promise.resolve(raw.value) : fetchSecret(raw.value, raw.name, this.root);
  }
}

/**
 * Finds the connection: the strongest layer that names a server decides (URL before service before `PG*`), and the
 * remaining parts are completed from wherever they may come.
 *
 * @returns `null` where no layer names a server.
 * @throws ManageDbError `INVALID_DATABASE_URL`, `INVALID_CONFIGURATION`, `MISSING_SETTING` (an undefined service)
 */
export async function findConnection(reader: LayerReader): Promise<ConnectionSource | null> {
  for (const rank of reader.ranks) {
    const url = await reader.readAt('databaseUrl', rank);
    if (url !== null) return complete(reader, fromUrl(url));
    const service = await reader.readAt('service', rank);
    if (service !== null) return complete(reader, fromService(service));
    // a PGDATABASE alone, left over in a shell, names no server; one that is written for this environment does
    if (reader.has(reader.isScoped(rank) ? ['host', 'database'] : ['host'], rank))
      return complete(reader, { hosts: [], parts: {}, foreignParameters: [] });
  }
  return null;
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

interface PartialSource {
  readonly hosts: readonly Partial<HostAddress>[];
  readonly parts: Partial<Record<ConnectionPart, SourcedValue>>;
  readonly foreignParameters: readonly string[];
}

function fromUrl(url: SourcedValue): PartialSource {
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

function fromService(service: SourcedValue): PartialSource {
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

async function complete(reader: LayerReader, source: PartialSource): Promise<ConnectionSource> {
  const parts = { ...source.parts };
  for (const part of [
    'user',
    'database',
    'sslMode',
    'sslRootCert',
    'sslCert',
    'sslKey',
    'targetSessionAttrs',
  ] as const) {
    parts[part] ??= (await reader.read(part)) ?? undefined;
  }
  // a password of its own beats the one in a URL that is not from a stronger place
  const password = await reader.read('password');
  if (password !== null && (parts.password === undefined || password.rank <= parts.password.rank))
    parts.password = password;

  const host = await reader.read('host');
  const port = await reader.read('port');
  let hosts = source.hosts;
  if (hosts.every((address) => address.host === undefined)) {
    const names = host === null ? [defaultHost()] : host.value.split(',');
    const ports = port === null ? [] : port.value.split(',');
    hosts = names.map((name, index) => ({
      host: name === '' ? defaultHost() : name,
      ...(hosts[index]?.port === undefined ? {} : { port: hosts[index].port }),
      ...(ports.length === 0 || port === null || hosts[index]?.port !== undefined
        ? {}
        : { port: portOrFail(ports[ports.length === 1 ? 0 : index] ?? '', port) }),
    }));
    if (host !== null) parts.host = host;
  }
  const addresses = hosts.map((address) => ({ host: address.host ?? defaultHost(), port: address.port ?? 5432 }));
  return { hosts: addresses, parts, foreignParameters: source.foreignParameters };
}

function portOrFail(text: string, from: SourcedValue): number {
  const port = parsePort(text);
  if (port !== null) return port;
  throw new ManageDbError('INVALID_CONFIGURATION', `${from.source} is not a port: ${JSON.stringify(text)}.`, {
    hint: 'A port is a number from 1 to 65535.',
  });
}

/** libpq's default: the socket folder that the server was built with (Debian's here), else this machine by TCP. */
function defaultHost(): string {
  return existsSync('/var/run/postgresql') ? '/var/run/postgresql' : 'localhost';
}

/** libpq's default user: the one of the operating system. */
export function operatingSystemUser(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null;
  }
}

/** The certificate files that libpq takes by itself from `~/.postgresql`. */
export function defaultCertificates(): Pick<SslSettings, 'rootCert' | 'cert' | 'key'> {
  const present = (file: string): string | null => {
    const path = join(homedir(), '.postgresql', file);
    return existsSync(path) ? path : null;
  };
  return { rootCert: present('root.crt'), cert: present('postgresql.crt'), key: present('postgresql.key') };
}
