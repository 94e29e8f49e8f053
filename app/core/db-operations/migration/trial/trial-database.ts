import type { Client } from 'pg';
import { withMaintenanceConnection } from '../../../../services/with-connection.js';
import { ManageDbError } from '../../../errors.js';
import { stopIfAborted } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import type { DatabaseProperties } from '../../manifest/manifest.js';
import { dropAbandonedScratchDatabases } from '../../scratch/scratch-database.js';
import { withScratchDatabase } from '../../scratch/with-scratch-database.js';
import { takeSettings } from './database-settings.js';
import { watchServer } from './server-wide.js';

export interface TrialDatabase {
  readonly name: string;
  /** Runs `work`, and notes what it has changed on the server itself. */
  readonly watched: <T>(work: () => Promise<T>) => Promise<T>;
  /** What is not as in the real database, and what was changed on the server itself until now, in sentences. */
  readonly warnings: () => readonly string[];
}

export interface TrialOptions {
  /** Which it is made like: of the real one, where there is one. */
  readonly properties: (maintenance: Client) => Promise<DatabaseProperties>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives `work` an empty database to try migrations in, on the server of `target` and under the settings of its database. It is
 * gone when `work` has ended, and so is what killed processes have left of others.
 *
 * @throws ManageDbError `SERVER_UNAVAILABLE`, `PERMISSION_DENIED` for a login without CREATEDB, `INTERRUPTED`
 */
export function withTrialDatabase<T>(
  { settings, database, serverMajor }: Target,
  { properties: propertiesOn, signal }: TrialOptions,
  work: (trial: TrialDatabase) => Promise<T>,
): Promise<T> {
  if (serverMajor === null) {
    throw new ManageDbError('SERVER_UNAVAILABLE', 'The version of the server is not known.', {
      hint: 'manage_db doctor',
    });
  }
  return withMaintenanceConnection(settings, async (maintenance) => {
    await dropAbandonedScratchDatabases(maintenance);
    stopIfAborted(signal);
    const properties = await propertiesOn(maintenance);
    return withScratchDatabase(maintenance, { settings, serverMajor, properties }, async ({ name }) => {
      const warnings = [...(await takeSettings(maintenance, name, properties))];
      const watched: TrialDatabase['watched'] = async (act) => {
        const { result, changes } = await watchServer(maintenance, database, act);
        warnings.push(...changes);
        return result;
      };
      return work({ name, watched, warnings: () => warnings });
    });
  });
}
