import { assertKnownEnvironment, scopedPrefixes } from '../core/environment.js';
import { ManageDbError } from '../core/errors.js';
import { embeddedConnection, externalConnection } from './build-connection.js';
import { lineageOf, loadConfigFile, type ManageDbConfig } from './config-file.js';
import type { ConfigReport, ConfigValue } from './config-report.js';
import type { ConnectionSettings } from './connection-settings.js';
import { type ConnectionSource, findConnection, LayerReader } from './connection-source.js';
import { formatAddress, formatDatabaseUrl } from './database-url.js';
import { MASK } from './redaction.js';
import { SECURITY_SETTINGS, type SecuritySettings } from './settings.js';
import { poolSettings, SettingsReader, unexpected } from './settings-reader.js';
import { layersOf, type SettingOverrides } from './value-layers.js';
import { getWorkspace } from './workspace.js';

/**
 * Resolves everything about an environment from its layers. What is wrong is collected, not thrown.
 *
 * @throws ManageDbError `UNKNOWN_ENVIRONMENT`, and what makes the workspace itself unreadable
 */
export async function resolveConfig(
  environment: string,
  root: string,
  overrides: SettingOverrides,
): Promise<ConfigReport> {
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
  const common = {
    environment,
    pool: await poolSettings(settings),
    pgBinDir: await settings.text('pgBinDir'),
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
  const deciding = source?.parts.database ?? source?.parts.host;
  if (deciding !== undefined && !reader.isScoped(deciding.rank)) {
    warnings.push(
      `${deciding.source} is not written for ${environment} alone: every unprotected environment without a database of its own uses it.`,
    );
  }
  if (process.env.PGHOSTADDR)
    warnings.push('PGHOSTADDR is set and ignored: manage_db and its tools connect to the host that is shown.');
  return warnings;
}
