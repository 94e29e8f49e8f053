import { liftTimeouts, withMaintenanceConnection } from '../../../services/with-connection.js';
import type { Target } from '../../safety/gate.js';
import { explained } from '../failure.js';
import { lockRestoreOf } from '../scratch/scratch-database.js';

/**
 * Runs `work` while nobody else restores, copies, drops or resets the target. Refused at once where somebody does.
 *
 * @param unchanged for the message of the refusal: `Nothing was dropped.`
 * @throws ManageDbError `DATABASE_IN_USE`; what `work` throws
 * @example await whileOthersAreKeptOut(target, 'Nothing was dropped.', () => dropAllObjects(target, options));
 */
export async function whileOthersAreKeptOut<T>(
  { settings, database }: Target,
  unchanged: string,
  work: () => Promise<T>,
): Promise<T> {
  let isConnected = false;
  try {
    return await withMaintenanceConnection(settings, async (maintenance) => {
      isConnected = true;
      await maintenance.query('begin');
      await liftTimeouts(maintenance, 'transaction');
      await lockRestoreOf(maintenance, database, 'transaction').catch((error: unknown) => {
        throw explained(error, unchanged);
      });
      return work();
    });
  } catch (error) {
    if (isConnected) throw error;
    // who reaches no other database of the server cannot restore or copy either; the lock of the migrations is taken anyway
    return work();
  }
}
