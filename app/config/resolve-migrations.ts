import { workspaceRoot } from '../core/workspace-root.js';
import { lineageOf, loadConfigFile, type ManageDbConfig } from './config-file.js';
import type { ConfigValue } from './config-report.js';
import { DEFAULT_MIGRATION_SETTINGS, type MigrationSettings } from './migration-settings.js';

/**
 * How migrations are applied in `environment`: `migrations` in its section of the configuration file and in those that it
 * `extends`, the nearest first; else what is usual.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` with every problem at once, `UNREADABLE_FILE`
 * @example const { lockTimeoutMs } = await readMigrationSettings('production');
 */
export async function readMigrationSettings(environment: string): Promise<MigrationSettings> {
  const sections = sectionsOf(environment, await loadConfigFile(workspaceRoot()));
  const nearestLast = sections.map(({ migrations }) => migrations).reverse();
  return Object.assign({ ...DEFAULT_MIGRATION_SETTINGS }, ...nearestLast);
}

/** The same for `show-config`, each with the section that says it; nothing where nothing is set. */
export function migrationRows(environment: string, file: ManageDbConfig): readonly ConfigValue[] {
  const shown = new Map<string, ConfigValue>();
  for (const { name, migrations } of sectionsOf(environment, file)) {
    const source = `environments.${name}.migrations in the configuration file`;
    for (const [key, value] of Object.entries(migrations)) {
      const setting = `migrations.${key}`;
      if (!shown.has(setting)) shown.set(setting, { name: setting, value: String(value), source });
    }
  }
  return [...shown.values()];
}

function sectionsOf(environment: string, file: ManageDbConfig) {
  return lineageOf(environment, file).flatMap(([name, { migrations }]) =>
    migrations === undefined ? [] : [{ name, migrations }],
  );
}
