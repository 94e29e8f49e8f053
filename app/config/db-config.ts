/** Which settings an environment has, and where each of them comes from. */

import { currentEnv, onEnvironmentChange } from '../core/environment.js';
import { normalizeEnv } from '../core/environment-names.js';
import { ManageDbError } from '../core/errors.js';
import { workspaceRoot } from '../core/workspace-root.js';
import { forgetConfigFiles } from './config-file.js';
import type { ConfigReport, EnvironmentConfig } from './config-report.js';
import { formatDatabaseUrl } from './database-url.js';
import { resolveConfig } from './resolve-config.js';
import type { SettingOverrides } from './value-layers.js';

export type { ConfigReport, ConfigValue, EnvironmentConfig } from './config-report.js';

export interface ConfigOptions {
  readonly workspace?: string;
  readonly overrides?: SettingOverrides;
  /** `false`: what only a secret manager's command knows stays unknown, as a problem. */
  readonly mayRunCommands?: boolean;
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
  if (options.overrides !== undefined || options.mayRunCommands === false) {
    const { workspace: _workspace, ...how } = options;
    return resolveConfig(environment, root, how);
  }
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
