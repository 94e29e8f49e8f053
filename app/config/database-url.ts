import type { ConnectionSettings } from './connection-settings.js';
import { MASK } from './redaction.js';

/**
 * `settings` as one libpq connection URI.
 *
 * @param secrets `shown` only for a program that will connect with it; everything that a person sees is `masked`.
 * @example formatDatabaseUrl(settings, 'masked') // 'postgresql://app:***@db1:5432/clinic'
 */
export function formatDatabaseUrl(settings: ConnectionSettings, secrets: 'masked' | 'shown'): string {
  const password =
    settings.password === null ? '' : `:${secrets === 'masked' ? MASK : encodeURIComponent(settings.password)}`;
  const sockets = settings.hosts.filter(({ host }) => host.startsWith('/'));
  const authority = sockets.length > 0 ? '' : settings.hosts.map(formatAddress).join(',');
  const parameters = new URLSearchParams();
  if (sockets.length > 0) {
    parameters.set('host', settings.hosts.map(({ host }) => host).join(','));
    parameters.set('port', settings.hosts.map(({ port }) => port).join(','));
  }
  if (settings.ssl.mode !== 'prefer') parameters.set('sslmode', settings.ssl.mode);
  if (settings.ssl.rootCert !== null) parameters.set('sslrootcert', settings.ssl.rootCert);
  if (settings.ssl.cert !== null) parameters.set('sslcert', settings.ssl.cert);
  if (settings.ssl.key !== null) parameters.set('sslkey', settings.ssl.key);
  if (settings.targetSessionAttrs !== 'any') parameters.set('target_session_attrs', settings.targetSessionAttrs);
  if (settings.options !== null) parameters.set('options', settings.options);
  // libpq decodes %20 but not "+"
  const query = parameters.toString().replaceAll('+', '%20');
  const user = encodeURIComponent(settings.user);
  return `postgresql://${user}${password}@${authority}/${encodeURIComponent(settings.database)}${query === '' ? '' : `?${query}`}`;
}

/** `host:port`, IPv6 addresses in brackets; the host alone while its port is not chosen (0). */
export function formatAddress({ host, port }: { readonly host: string; readonly port: number }): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === 0 ? name : `${name}:${port}`;
}
