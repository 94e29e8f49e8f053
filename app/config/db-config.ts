/** Which settings an environment has, and where each of them comes from. */
import * as z from 'zod';
import {
  assertKnownEnvironment,
  currentEnv,
  normalizeEnv,
  onEnvironmentChange,
  scopedPrefixes,
} from '../core/environment.js';
import { ManageDbError, messageOf } from '../core/errors.js';
import { workspaceRoot } from '../core/workspace-root.js';
import { forgetConfigFiles, lineageOf, loadConfigFile, type ManageDbConfig } from './config-file.js';
import {
  type ConnectionSettings,
  type PoolSettings,
  SSL_MODES,
  type SslSettings,
  TARGET_SESSION_ATTRS,
} from './connection-settings.js';
import {
  type ConnectionSource,
  defaultCertificates,
  findConnection,
  LayerReader,
  operatingSystemUser,
  type SourcedValue,
} from './connection-source.js';
import { formatAddress, formatDatabaseUrl } from './database-url.js';
import { readEmbeddedEndpoint } from './embedded-endpoint.js';
import { MASK, redact, registerSecret } from './redaction.js';
import type { SettingName } from './setting-names.js';
import { SECURITY_SETTINGS, type SecuritySettings } from './settings.js';
import { layersOf, type SettingOverrides } from './value-layers.js';
import { getWorkspace, type Workspace } from './workspace.js';

/** One line of `show-config`: secrets are masked already. */
export interface ConfigValue {
  readonly name: string;
  readonly value: string | null;
  readonly source: string;
}

export interface EnvironmentConfig {
  readonly environment: string;
  readonly workspace: Workspace;
  readonly security: SecuritySettings;
  readonly connection: ConnectionSettings;
  /** The folder that alone is searched for `pg_dump` and its like, or `null`. */
  readonly pgBinDir: string | null;
}

/** An environment's configuration as far as it could be resolved, with everything that is wrong with it. */
export interface ConfigReport {
  readonly environment: string;
  readonly workspace: Workspace;
  readonly security: SecuritySettings;
  readonly connection: ConnectionSettings | null;
  readonly pgBinDir: string | null;
  readonly values: readonly ConfigValue[];
  readonly problems: readonly ManageDbError[];
  readonly warnings: readonly string[];
}

export interface ConfigOptions {
  readonly workspace?: string;
  readonly overrides?: SettingOverrides;
}

const cache = new Map<string, Promise<ConfigReport>>();
const listeners = new Set<(environment: string) => void>();
onEnvironmentChange(({ to }) => reloadConfig(to));

/**
 * The complete, valid configuration of an environment (the active one by default).
 *
 * @throws ManageDbError `MISSING_SETTING` naming the variable, `INVALID_DATABASE_URL`, `INVALID_CONFIGURATION` with all
 *   problems at once, `UNKNOWN_ENVIRONMENT`, `UNREADABLE_FILE`, `SECRET_COMMAND_FAILED`
 * @example const { connection, security } = await getConfig('production')
 */
export async function getConfig(env?: string, options: ConfigOptions = {}): Promise<EnvironmentConfig> {
  const { values: _values, warnings: _warnings, problems, connection, ...config } = await describeConfig(env, options);
  if (connection === null || problems.length > 0) throw oneError(config.environment, problems);
  return { ...config, connection };
}

/**
 * Like {@link getConfig}, but gives what there is together with the problems instead of throwing them.
 *
 * @throws ManageDbError `UNKNOWN_ENVIRONMENT`, and what makes the workspace itself unreadable
 */
export function describeConfig(env?: string, options: ConfigOptions = {}): Promise<ConfigReport> {
  const root = options.workspace ?? workspaceRoot();
  const environment = env === undefined ? currentEnv() : normalizeEnv(env);
  if (options.overrides !== undefined) return resolveConfig(environment, root, options.overrides);
  const key = `${environment}\0${root}`;
  const cached = cache.get(key);
  if (cached !== undefined) return cached;
  const resolving = resolveConfig(environment, root, {});
  cache.set(key, resolving);
  resolving.catch(() => cache.delete(key));
  return resolving;
}

/**
 * The active environment's database URL, **with its password**: for connecting, never for printing.
 *
 * @throws ManageDbError as {@link getConfig}
 */
export function getDatabaseUrl(): Promise<string> {
  return getDatabaseUrlForEnv(currentEnv());
}

/**
 * The database URL of `env`, **with its password**: for connecting, never for printing.
 *
 * @throws ManageDbError as {@link getConfig}
 * @example await getDatabaseUrlForEnv('testing')
 */
export async function getDatabaseUrlForEnv(env: string): Promise<string> {
  return formatDatabaseUrl((await getConfig(env)).connection, 'shown');
}

/** Calls `listener` with the active environment whenever configuration must be read anew. Returns the unsubscriber. */
export function onConfigChange(listener: (environment: string) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Forgets everything that was read; the next question reads files and variables again. Tells the subscribers. */
export function reloadConfig(environment?: string): void {
  cache.clear();
  forgetConfigFiles();
  for (const listener of listeners) listener(environment ?? currentEnv());
}

async function resolveConfig(environment: string, root: string, overrides: SettingOverrides): Promise<ConfigReport> {
  const file = await loadConfigFile(root);
  assertKnownEnvironment(environment, root);
  const workspace = await getWorkspace(root);
  const security = securityOf(environment, file);
  const reader = new LayerReader(layersOf(environment, root, file, overrides), security.protected, root);
  const problems: ManageDbError[] = [];
  const attempt = async <T>(look: () => Promise<T>): Promise<T | null> => {
    try {
      return await look();
    } catch (error) {
      problems.push(error instanceof ManageDbError ? error : unexpected(error));
      return null;
    }
  };

  const before = problems.length;
  const source = await attempt(() => findConnection(reader));
  const settings = new SettingsReader(reader, problems);
  const pool = await poolSettings(settings);
  const pgBinDir = await settings.text('pgBinDir');
  const common = {
    environment,
    pool,
    passfile: await settings.text('passfile'),
    connectTimeoutMs: await settings.number('connectTimeoutMs', 10_000, { min: 100, max: 600_000 }),
    applicationName: (await settings.text('applicationName')) ?? 'manage_db',
  };

  const failed = problems.length > before && source === null;
  let connection: ConnectionSettings | null = null;
  if (source !== null) connection = externalConnection(source, common, settings);
  else if (!failed && hasEmbeddedServer(environment)) {
    connection = await attempt(() => Promise.resolve(embeddedConnection(workspace, common, settings)));
  } else if (!failed) problems.push(missingUrl(environment, reader));

  return {
    environment,
    workspace,
    security,
    connection,
    pgBinDir,
    values: [
      ...connectionRows(connection, settings.sources),
      ...settings.rows,
      ...securityRows(security, file, environment),
    ],
    problems,
    warnings: warningsOf(environment, source, reader),
  };
}

/** Only these fall back to the embedded server: for anything else a missing URL is an error. */
function hasEmbeddedServer(environment: string): boolean {
  return environment === 'development' || environment === 'testing';
}

function securityOf(environment: string, file: ManageDbConfig): SecuritySettings {
  const lineage = lineageOf(environment, file);
  const base = [environment, ...lineage.flatMap(([name, { extends: parent }]) => [name, parent ?? name])]
    .map((name) => (Object.hasOwn(SECURITY_SETTINGS, name) ? SECURITY_SETTINGS[name] : undefined))
    .find((settings) => settings !== undefined);
  // an environment that nobody described is protected: harmlessness is proven, not assumed
  const closed = SECURITY_SETTINGS.staging as SecuritySettings;
  return Object.assign({}, base ?? closed, ...lineage.map(([, section]) => section.security ?? {}).reverse());
}

/** Values beside the connection: read, checked, and noted for `show-config`; what is wrong is collected. */
class SettingsReader {
  readonly rows: ConfigValue[] = [];
  readonly sources = new Map<string, string>();

  constructor(
    private readonly reader: LayerReader,
    readonly problems: ManageDbError[],
  ) {}

  async text(setting: SettingName): Promise<string | null> {
    try {
      const found = await this.reader.read(setting);
      if (found !== null) this.note(setting, found.value, found.source);
      return found?.value ?? null;
    } catch (error) {
      this.problems.push(error instanceof ManageDbError ? error : unexpected(error));
      return null;
    }
  }

  async number(setting: SettingName, fallback: number, { min, max }: { min: number; max: number }): Promise<number> {
    const text = await this.text(setting);
    if (text === null) {
      this.note(setting, String(fallback), 'default');
      return fallback;
    }
    const row = this.rows.at(-1);
    return this.check(z.coerce.number().int().min(min).max(max), text, row?.source ?? setting) ?? fallback;
  }

  /** `value` if the schema takes it; otherwise the problem is collected and `null` returned. */
  check<T>(schema: z.ZodType<T>, value: unknown, source: string): T | null {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const what = parsed.error.issues.map((issue) => issue.message).join('; ');
    this.problems.push(
      new ManageDbError(
        'INVALID_CONFIGURATION',
        `${source}: ${redact(what)} (it is ${JSON.stringify(redact(String(value)))}).`,
        {
          hint: `Correct ${source}.`,
        },
      ),
    );
    return null;
  }

  private note(name: string, value: string, source: string): void {
    this.rows.push({ name, value: redact(value), source });
  }
}

async function poolSettings(settings: SettingsReader): Promise<PoolSettings> {
  const hour = 3_600_000;
  return {
    max: await settings.number('poolMax', 10, { min: 1, max: 1_000 }),
    idleTimeoutMs: await settings.number('poolIdleTimeoutMs', 10_000, { min: 0, max: hour }),
    statementTimeoutMs: await settings.number('statementTimeoutMs', 0, { min: 0, max: 24 * hour }),
    lockTimeoutMs: await settings.number('lockTimeoutMs', 0, { min: 0, max: hour }),
    idleInTransactionTimeoutMs: await settings.number('idleInTransactionTimeoutMs', 0, { min: 0, max: 24 * hour }),
  };
}

type CommonSettings = Pick<
  ConnectionSettings,
  'environment' | 'pool' | 'passfile' | 'connectTimeoutMs' | 'applicationName'
>;

function externalConnection(
  source: ConnectionSource,
  common: CommonSettings,
  settings: SettingsReader,
): ConnectionSettings | null {
  const { parts, hosts } = source;
  const user = parts.user?.value ?? operatingSystemUser();
  const database = parts.database?.value ?? null;
  const anchor = Object.values(parts)[0];
  for (const [part, value] of Object.entries(parts)) if (value !== undefined) settings.sources.set(part, value.source);
  settings.sources.set('host', parts.host?.source ?? anchor?.source ?? 'default');
  if (parts.password !== undefined) {
    registerSecret(parts.password.value, [user, database, ...hosts.map(({ host }) => host)]);
  }
  const ssl = sslSettings(parts, settings);
  const targetSessionAttrs = choice(parts.targetSessionAttrs, TARGET_SESSION_ATTRS, 'any', settings);
  const timeout = parts.connectTimeoutMs;
  // libpq takes 0 for "wait for ever"; nothing here waits for ever
  const urlTimeout =
    timeout === undefined ? null : settings.check(z.coerce.number().int().min(0), timeout.value, timeout.source);
  if (database === null) {
    settings.problems.push(
      new ManageDbError('INVALID_DATABASE_URL', `${anchor?.source ?? 'The connection'} names no database.`, {
        hint: 'Write the database after the host: postgresql://user@host:5432/database (or set PGDATABASE).',
      }),
    );
  }
  if (user === null) {
    settings.problems.push(
      new ManageDbError('INVALID_DATABASE_URL', `${anchor?.source ?? 'The connection'} names no user.`, {
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
  const mode = choice(parts.sslMode, SSL_MODES, 'prefer', settings);
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
  allowed: readonly T[],
  fallback: T,
  settings: SettingsReader,
): T | null {
  return found === undefined ? fallback : settings.check(z.enum(allowed as [T, ...T[]]), found.value, found.source);
}

function embeddedConnection(
  workspace: Workspace,
  common: CommonSettings,
  settings: SettingsReader,
): ConnectionSettings {
  const endpoint = readEmbeddedEndpoint(workspace.root);
  const user = endpoint?.user ?? 'manage_db';
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

function missingUrl(environment: string, reader: LayerReader): ManageDbError {
  const [prefix = ''] = scopedPrefixes(environment);
  const variable = `${prefix}DATABASE_URL`;
  const withheld = reader.withheld()[0];
  const unused = withheld === undefined ? '' : ` (${withheld.source} is not used for a protected environment)`;
  return new ManageDbError(
    'MISSING_SETTING',
    `The environment "${environment}" has no database: ${variable} is not set${unused}.`,
    {
      hint: `Set ${variable}, for instance in .env.${environment}, or environments.${environment}.databaseUrl in the configuration file. Nothing was connected to.`,
      details: { environment, variable },
    },
  );
}

function connectionRows(
  connection: ConnectionSettings | null,
  sources: ReadonlyMap<string, string>,
): readonly ConfigValue[] {
  if (connection === null) return [];
  const row = (name: string, value: string | null, part = name): ConfigValue => ({
    name,
    value,
    source: sources.get(part) ?? 'default',
  });
  return [
    row('databaseUrl', formatDatabaseUrl(connection, 'masked'), 'host'),
    row('host', connection.hosts.map(formatAddress).join(',')),
    row('user', connection.user),
    row('password', connection.password === null ? null : MASK),
    row('database', connection.database),
    row('sslMode', connection.ssl.mode),
    row('targetSessionAttrs', connection.targetSessionAttrs),
  ];
}

function securityRows(security: SecuritySettings, file: ManageDbConfig, environment: string): readonly ConfigValue[] {
  const section = file.environments?.[environment]?.security ?? {};
  return Object.entries(security).map(([name, value]) => ({
    name: `security.${name}`,
    value: String(value),
    source: Object.hasOwn(section, name)
      ? `environments.${environment}.security in the configuration file`
      : 'SECURITY_SETTINGS',
  }));
}

function warningsOf(environment: string, source: ConnectionSource | null, reader: LayerReader): readonly string[] {
  const warnings = reader
    .withheld()
    .map((raw) => `${raw.source} is not used: ${environment} is protected and takes only settings of its own.`);
  if (source !== null && source.foreignParameters.length > 0) {
    warnings.push(
      `The database URL has parameters of other tools, which are left aside: ${source.foreignParameters.join(', ')}.`,
    );
  }
  if (process.env.PGHOSTADDR)
    warnings.push('PGHOSTADDR is set and ignored: manage_db and its tools connect to the host that is shown.');
  return warnings;
}

function oneError(environment: string, problems: readonly ManageDbError[]): ManageDbError {
  const [only, ...others] = problems;
  if (only !== undefined && others.length === 0) return only;
  const list = problems.map((problem) => `- ${problem.message}`).join('\n');
  return new ManageDbError(
    'INVALID_CONFIGURATION',
    `The configuration of "${environment}" has ${problems.length} problems:\n${list}`,
    {
      hint: `Correct them and look again: manage_db show-config --env ${environment}`,
      details: { problems: problems.map(({ code, message, hint }) => ({ code, message, hint })) },
    },
  );
}

function unexpected(error: unknown): ManageDbError {
  return new ManageDbError('INTERNAL', redact(messageOf(error)), { cause: error });
}
