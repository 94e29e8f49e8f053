import type { ConnectionSettings } from '../../app/config/connection-settings.js';
import { getConfig } from '../../app/config/db-config.js';
import { scratchWorkspace } from './scratch-workspace.js';

/** The settings that lead to `url`, for what works below the gate. */
export async function settingsOf(url: string): Promise<ConnectionSettings> {
  const workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL='${url}'\n` });
  try {
    return (await workspace.run(() => getConfig('testing'))).connection;
  } finally {
    await workspace.remove();
  }
}
