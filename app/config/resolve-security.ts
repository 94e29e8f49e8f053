import { lineageOf, type ManageDbConfig } from './config-file.js';
import type { ConfigValue } from './config-report.js';
import { SECURITY_SETTINGS, type SecuritySettings } from './settings.js';

/**
 * The security settings of `environment`: those of the built-in environment that it is or extends, changed by the
 * sections of the configuration file.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` when `extends` is wrong.
 */
export function securityOf(environment: string, file: ManageDbConfig): SecuritySettings {
  const lineage = lineageOf(environment, file);
  const base = [environment, ...lineage.flatMap(([name, { extends: parent }]) => [name, parent ?? name])]
    .map((name) => (Object.hasOwn(SECURITY_SETTINGS, name) ? SECURITY_SETTINGS[name] : undefined))
    .find((settings) => settings !== undefined);
  // an environment that nobody described is protected: harmlessness is proven, not assumed
  const closed = SECURITY_SETTINGS.staging as SecuritySettings;
  return Object.assign({}, base ?? closed, ...lineage.map(([, section]) => section.security ?? {}).reverse());
}

/** The same for `show-config`, each with the section that says it. */
export function securityRows(environment: string, file: ManageDbConfig): readonly ConfigValue[] {
  const lineage = lineageOf(environment, file);
  return Object.entries(securityOf(environment, file)).map(([name, value]) => {
    const section = lineage.find(([, { security = {} }]) => Object.hasOwn(security, name))?.[0];
    const source =
      section === undefined ? 'SECURITY_SETTINGS' : `environments.${section}.security in the configuration file`;
    return { name: `security.${name}`, value: String(value), source };
  });
}
