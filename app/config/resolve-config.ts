import { assertKnownEnvironment, scopedPrefixes } from '../core/environment-names.js';
import { ManageDbError } from '../core/errors.js';
import { embeddedConnection, externalConnection } from './build-connection.js';
import { loadConfigFile } from './config-file.js';
import type { ConfigReport, ConfigValue } from './config-report.js';
import type { ConnectionSettings } from './connection-settings.js';
import { type ConnectionSource, findConnection } from './connection-source.js';
import { formatAddress, formatDatabaseUrl } from './database-url.js';
import { killSwitchOf } from './kill-switch-settings.js';
import { LayerReader } from './layer-reader.js';
import { type MisspeltSetting, misspeltSettings, misspeltWords } from './misspelt-settings.js';
import { MASK } from './redaction.js';
import { copyRows } from './resolve-copy.js';
import { migrationRows } from './resolve-migrations.js';
import { securityOf, securityRows } from './resolve-security.js';
import { SETTINGS } from './setting-names.js';
import { poolSettings, SettingsReader, unexpected } from './settings-reader.js';
import { layersOf, type RawValue, type SettingOverrides } from './value-layers.js';
import { getWorkspace } from './workspace.js';

export interface ResolveOptions {
  readonly overrides?: SettingOverrides;
  /** Whether secret managers' commands may be executed; a value that needs one is a problem otherwise. */
  readonly mayRunCommands?: boolean;
}

/**
 * Resolves everything about an environment from its layers. What is wrong is collected, not thrown.
 *
 * @throws ManageDbError `UNKNOWN_ENVIRONMENT`, and what makes the workspace itself unreadable
 */
export async function resolveConfig(
  environment: string,
  root: string,
  { overrides = {}, mayRunCommands = true }: ResolveOptions,
): Promise<ConfigReport> {
  const file = await loadConfigFile(root);
  assertKnownEnvironment(environment, root);
  const workspace = await getWorkspace(root);
  const security = securityOf(environment, file);
  const layers = layersOf(environment, root, file, overrides);
  const reader = new LayerReader(layers, { isProtected: security.protected, root, mayRunCommands });
  const misspelt = misspeltSettings(environment, root);
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
  const failed = problems.length > before;
  const lone = failed || source !== null ? null : await attempt(async () => reader.locateScoped('database'));
  const settings = new SettingsReader(reader, problems);
  const common = {
    environment,
    pool: await poolSettings(settings),
    pgBinDir: await settings.text('pgBinDir'),
    passfile: await settings.text('passfile'),
    connectTimeoutMs: await settings.number('connectTimeoutMs'),
    applicationName: (await settings.text('applicationName')) ?? SETTINGS.applicationName.default,
  };

  let connection: ConnectionSettings | null = null;
  if (source !== null) connection = externalConnection(source, common, settings);
  else if (!failed && hasEmbeddedServer(environment)) {
    connection = await attempt(() => Promise.resolve(embeddedConnection(workspace, common, settings)));
  } else if (!failed) problems.push(missingUrl(environment, { lone, reader, misspelt }));

  return {
    environment,
    workspace,
    security,
    killSwitch: killSwitchOf(environment, file, security),
    connection,
    values: [
      ...connectionRows(connection, settings.sources),
      ...settings.rows,
      ...securityRows(environment, file),
      ...copyRows(environment, file),
      ...migrationRows(environment, file),
    ],
    problems,
    warnings: warningsOf(environment, { source, lone, reader, misspelt }),
  };
}

/** Only these fall back to the embedded server: for anything else a missing URL is an error. */
function hasEmbeddedServer(environment: string): boolean {
  return environment === 'development' || environment === 'testing';
}

function missingUrl(environment: string, { lone, reader, misspelt }: Omit<Findings, 'source'>): ManageDbError {
  const prefixes = scopedPrefixes(environment);
  const variable = `${prefixes[0] ?? ''}DATABASE_URL`;
  const withheld = reader.withheld()[0];
  // without its prefix, a connection in the shared file is nobody's in particular
  const isOurs = ({ file, meant }: MisspeltSetting) => file !== '.env' || prefixes.some((one) => meant.startsWith(one));
  const meant = misspelt.find((one) => one.isConnection && isOurs(one));
  const unused =
    meant !== undefined
      ? ` (${misspeltWords(meant)})`
      : lone !== null
        ? ` (${lone.source} alone names no server)`
        : withheld !== undefined
          ? ` (${withheld.source} is not used for a protected environment)`
          : '';
  return new ManageDbError(
    'MISSING_SETTING',
    `The environment "${environment}" has no database: ${variable} is not set${unused}.`,
    {
      hint:
        meant !== undefined
          ? `Write ${meant.meant} in ${meant.file}, if that is meant. Nothing was connected to.`
          : `Set ${variable}, for instance in .env.${environment}, or environments.${environment}.databaseUrl in the configuration file. Nothing was connected to.`,
      details: { environment, variable, ...(meant === undefined ? {} : { misspelt: meant.name }) },
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

interface Findings {
  readonly source: ConnectionSource | null;
  /** A database that stands there without a server. */
  readonly lone: RawValue | null;
  readonly reader: LayerReader;
  readonly misspelt: readonly MisspeltSetting[];
}

function warningsOf(environment: string, { source, lone, reader, misspelt }: Findings): readonly string[] {
  const warnings = reader
    .withheld()
    .map((raw) => `${raw.source} is not used: ${environment} is protected and takes only settings of its own.`);
  if (source !== null && source.foreignParameters.length > 0) {
    warnings.push(
      `The database URL has parameters of other tools, which are left aside: ${source.foreignParameters.join(', ')}.`,
    );
  }
  const deciding = [source?.namedBy, source?.parts.database].find(
    (it) => it !== undefined && !reader.isScoped(it.rank),
  );
  if (deciding !== undefined) {
    warnings.push(
      `${deciding.source} is not written for ${environment} alone: every unprotected environment without a database of its own uses it.`,
    );
  }
  if (lone !== null && hasEmbeddedServer(environment)) {
    warnings.push(`${lone.source} is not used: alone it names no server, and ${environment} runs on the embedded one.`);
  }
  warnings.push(...misspelt.map((one) => `${misspeltWords(one)}: nothing reads it.`));
  if (process.env.PGHOSTADDR)
    warnings.push('PGHOSTADDR is set and ignored: manage_db and its tools connect to the host that is shown.');
  return warnings;
}
