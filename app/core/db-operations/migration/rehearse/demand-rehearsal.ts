import type { MigrationSettings } from '../../../../config/migration-settings.js';
import { getWorkspace } from '../../../../config/workspace.js';
import { withConnection } from '../../../../services/with-connection.js';
import type { Target } from '../../../safety/gate.js';
import type { MigrationStep } from '../step.js';
import { requireRehearsal } from './find-rehearsal.js';
import { readLiveHistory } from './live-database.js';

export interface Demand {
  readonly rules: MigrationSettings;
  /** Of the report, where somebody names one. */
  readonly checksum: string | undefined;
}

/**
 * Where the settings or the caller demand it: refuses to apply what was not rehearsed as it is now.
 *
 * @throws ManageDbError `REHEARSAL_REQUIRED`
 */
export async function demandRehearsal(
  { environment, settings }: Target,
  steps: readonly MigrationStep[],
  { rules, checksum }: Demand,
): Promise<void> {
  if (!rules.requireRehearsal && checksum === undefined) return;
  const live = await withConnection(settings, {}, readLiveHistory);
  requireRehearsal(await getWorkspace(), { environment, live, steps, checksum });
}
