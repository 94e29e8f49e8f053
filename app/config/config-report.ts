import type { ManageDbError } from '../core/errors.js';
import type { ConnectionSettings } from './connection-settings.js';
import type { KillSwitchSettings } from './kill-switch-settings.js';
import type { SecuritySettings } from './settings.js';
import type { Workspace } from './workspace.js';

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
  readonly killSwitch: KillSwitchSettings;
  readonly connection: ConnectionSettings;
}

/** An environment's configuration as far as it could be resolved, with everything that is wrong with it. */
export interface ConfigReport {
  readonly environment: string;
  readonly workspace: Workspace;
  readonly security: SecuritySettings;
  readonly killSwitch: KillSwitchSettings;
  readonly connection: ConnectionSettings | null;
  readonly values: readonly ConfigValue[];
  readonly problems: readonly ManageDbError[];
  readonly warnings: readonly string[];
}
