import type { HostAddress } from './connection-settings.js';
import type { LayerReader, SourcedValue } from './layer-reader.js';
import { defaultHost } from './libpq-defaults.js';
import { type ConnectionPart, fromService, fromUrl, type PartialSource, portOrFail } from './named-server.js';

/** Which server, which database, as whom: gathered from the layers, not yet validated as a whole. */
export interface ConnectionSource {
  /** What names the server: a URL, a service or a host. */
  readonly namedBy: Pick<SourcedValue, 'source' | 'rank'>;
  readonly hosts: readonly HostAddress[];
  readonly parts: Readonly<Partial<Record<ConnectionPart, SourcedValue>>>;
  readonly foreignParameters: readonly string[];
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
    if (url !== null) return complete(reader, url, fromUrl(url));
    const service = await reader.readAt('service', rank);
    if (service !== null) return complete(reader, service, fromService(service));
    // a database or a user alone names no server
    const host = await reader.readAt('host', rank);
    if (host !== null) return complete(reader, host, { hosts: [], parts: {}, foreignParameters: [] });
  }
  return null;
}

async function complete(
  reader: LayerReader,
  { source: namedIn, rank }: SourcedValue,
  source: PartialSource,
): Promise<ConnectionSource> {
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
    const found = await reader.read(part);
    if (found !== null && (parts[part] === undefined || overrules(found, parts[part], reader))) parts[part] = found;
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
  return { namedBy: { source: namedIn, rank }, hosts: addresses, parts, foreignParameters: source.foreignParameters };
}

/**
 * A single setting changes its part of a URL from a weaker place when it is written for this environment; what is left
 * over in a shell (`PGDATABASE`) only completes.
 */
function overrules(found: SourcedValue, named: SourcedValue, reader: LayerReader): boolean {
  return found.rank < named.rank && reader.isScoped(found.rank);
}
