import { escapeIdentifier } from 'pg';
import { liftTimeouts, withMaintenanceConnection } from '../../../services/with-connection.js';
import { codeOf, ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';
import { explained } from '../failure.js';
import { lockRestoreOf } from './scratch-database.js';

/** Refuses when others may have come in meanwhile; whoever asks says what is unchanged. */
export type StillAlone = () => Promise<void>;

/** The login may not come into another database of the server: nor can it restore or copy. */
const CLOSED_TO_US = ['DATABASE_MISSING', 'AUTHENTICATION_FAILED', 'PERMISSION_DENIED'];

/**
 * Runs `work` while nobody else restores, copies, drops or resets the target. Refused at once where somebody does. A login
 * that reaches no other database of the server works without that, and is kept apart from migrations only: it is told that it
 * could not restore either.
 *
 * The lock ends with a transaction: behind a pooler, a session is given to others with the locks that it has.
 *
 * @param unchanged for the message when somebody does: `Nothing was dropped.`; `null`: whoever calls says it
 * @throws ManageDbError `DATABASE_IN_USE`, `CONNECTION_LOST`, the connection's codes; what `work` throws
 * @example await whileOthersAreKeptOut(target, 'Nothing was dropped.', (stillAlone) => drop(target, { stillAlone }));
 */
export async function whileOthersAreKeptOut<T extends { readonly warnings: readonly string[] }>(
  { settings, database, exists, user }: Target,
  unchanged: string | null,
  work: (stillAlone: StillAlone) => Promise<T>,
): Promise<T> {
  // nobody else has anything to do with what is not there, and a session in template1 would keep it from being created
  if (!exists) return work(nobodyToAsk);
  let isConnected = false;
  try {
    return await withMaintenanceConnection(settings, async (maintenance) => {
      isConnected = true;
      await maintenance.query('begin');
      await liftTimeouts(maintenance, 'transaction');
      await lockRestoreOf(maintenance, database, 'transaction').catch((error: unknown) => {
        throw unchanged === null ? error : explained(error, unchanged);
      });
      return work(async () => {
        // the lock is there for as long as its session is
        await maintenance.query('select').catch((error: unknown) => {
          throw new ManageDbError('CONNECTION_LOST', `The session that keeps others out of ${database} has ended.`, {
            hint: 'Run it again.',
            cause: error,
          });
        });
      });
    });
  } catch (error) {
    if (isConnected || !CLOSED_TO_US.includes(codeOf(error) ?? '')) throw error;
    const result = await work(nobodyToAsk);
    const warning = `${user} reaches no database of this server but ${database}, and a restore of all of it needs another one: grant connect on database postgres to ${escapeIdentifier(user)};`;
    return { ...result, warnings: [...result.warnings, warning] };
  }
}

const nobodyToAsk: StillAlone = () => Promise.resolve();
