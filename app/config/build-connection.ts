import { ManageDbError } from '../core/errors.js';
import * as z from '../core/schema.js';
import type { ConnectionSettings, SslSettings } from './connection-settings.js';
import type { ConnectionSource } from './connection-source.js';
import { readEmbeddedEndpoint } from './embedded-endpoint.js';
import type { SourcedValue } from './layer-reader.js';
import { defaultCertificates, operatingSystemUser } from './libpq-defaults.js';
import { registerSecret } from './redaction.js';
import { SETTINGS } from './setting-names.js';
import type { SettingsReader } from './settings-reader.js';
import type { Workspace } from './workspace.js';

/** What a connection has whatever the server is. */
export type CommonSettings = Pick<
  ConnectionSettings,
  'environment' | 'pool' | 'passfile' | 'connectTimeoutMs' | 'applicationName' | 'pgBinDir'
>;

/** The settings of a server that the workspace names; `null` when something is wrong with them, which is collected. */
export function externalConnection(
  source: ConnectionSource,
  common: CommonSettings,
  settings: SettingsReader,
): ConnectionSettings | null {
  const { namedBy, parts, hosts } = source;
  const user = parts.user?.value ?? operatingSystemUser();
  const database = parts.database?.value ?? null;
  for (const [part, value] of Object.entries(parts)) if (value !== undefined) settings.sources.set(part, value.source);
  settings.sources.set('host', parts.host?.source ?? namedBy.source);
  if (parts.password !== undefined) {
    registerSecret(parts.password.value, [user, database, ...hosts.map(({ host }) => host)]);
  }
  const ssl = sslSettings(parts, settings);
  const targetSessionAttrs = choice(parts.targetSessionAttrs, SETTINGS.targetSessionAttrs, settings);
  const timeout = parts.connectTimeoutMs;
  // libpq takes 0 for "wait for ever"; nothing here waits for ever
  const urlTimeout =
    timeout === undefined
      ? null
      : settings.check(z.coerce.number().check(z.int(), z.minimum(0)), timeout.value, timeout.source);
  if (database === null) {
    settings.problems.push(
      new ManageDbError('INVALID_DATABASE_URL', `${namedBy.source} names no database.`, {
        hint: 'Write the database after the host: postgresql://user@host:5432/database (or set PGDATABASE).',
      }),
    );
  }
  if (user === null) {
    settings.problems.push(
      new ManageDbError('INVALID_DATABASE_URL', `${namedBy.source} names no user.`, {
        hint: 'Write the user before the host: postgresql://user@host:5432/database',
      }),
    );
  }
  if (database === null || user === null || ssl === null || targetSessionAttrs === null) return null;
  return {
    ...common,
    server: 'external',
    hosts,
    user,
    database,
    password: parts.password?.value ?? null,
    passfile: parts.passfile?.value ?? common.passfile,
    ssl,
    targetSessionAttrs,
    connectTimeoutMs: urlTimeout === null || urlTimeout === 0 ? common.connectTimeoutMs : urlTimeout,
    applicationName: parts.applicationName?.value ?? common.applicationName,
    options: parts.options?.value ?? null,
  };
}

function sslSettings(parts: ConnectionSource['parts'], settings: SettingsReader): SslSettings | null {
  const mode = choice(parts.sslMode, SETTINGS.sslMode, settings);
  if (mode === null) return null;
  const defaults = defaultCertificates();
  return {
    mode,
    rootCert: parts.sslRootCert?.value ?? defaults.rootCert,
    cert: parts.sslCert?.value ?? defaults.cert,
    key: parts.sslKey?.value ?? defaults.key,
  };
}

function choice<T extends string>(
  found: SourcedValue | undefined,
  definition: { readonly choices: readonly T[]; readonly default: T },
  settings: SettingsReader,
): T | null {
  const { choices } = definition;
  if (found === undefined) return definition.default;
  return settings.check(z.enum(choices as [T, ...T[]]), found.value, found.source);
}

/** The settings of the workspace's own server. */
export function embeddedConnection(
  workspace: Workspace,
  common: CommonSettings,
  settings: SettingsReader,
): ConnectionSettings {
  const endpoint = readEmbeddedEndpoint(workspace.root);
  const user = endpoint?.user ?? 'postgres';
  const database = `${slug(workspace.name)}_${common.environment}`;
  if (endpoint !== null) registerSecret(endpoint.password, [user, database]);
  for (const part of ['host', 'user', 'password', 'database', 'sslMode'])
    settings.sources.set(part, 'the embedded server');
  return {
    ...common,
    server: 'embedded',
    // port 0: the server has never been started; starting it chooses the port
    hosts: [{ host: '127.0.0.1', port: endpoint?.port ?? 0 }],
    user,
    database,
    password: endpoint?.password ?? null,
    ssl: { mode: 'disable', rootCert: null, cert: null, key: null },
    targetSessionAttrs: 'any',
    options: null,
  };
}

/** A workspace's name as part of a database name that needs no quotes. */
function slug(name: string): string {
  const plain = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '')
    .slice(0, 40);
  return /^[a-z]/.test(plain) ? plain : `db_${plain}`.replace(/_$/, '');
}
