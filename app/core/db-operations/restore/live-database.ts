import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';
import { readDatabaseProperties } from '../database-state/database-properties.js';
import { refuseIfInUse } from '../database-state/sessions.js';
import type { DatabaseProperties } from '../manifest/manifest.js';
import { dropAbandonedScratchDatabases, lockRestoreOf } from '../scratch/scratch-database.js';
import { refuseIfNotSwappable } from '../swap/swap-preconditions.js';
import { dropOverduePrevious } from './overdue.js';
import { ownComment } from './previous-database.js';

export interface Beginning {
  readonly target: Target;
  readonly disconnectUsers: boolean;
  /** A previous database that is needed, whether or not its time is over. */
  readonly spare?: string | null;
}

/**
 * Keeps other restores of the target out, clears up after those that were killed or whose previous database has had its
 * time, and makes sure that the target can be replaced. Returns its properties; `null`: it does not exist.
 *
 * @param maintenance a session on another database of the server, which holds the lock until its end
 * @throws ManageDbError `DATABASE_IN_USE`
 */
export async function begin(
  maintenance: Queryable,
  { target, disconnectUsers, spare = null }: Beginning,
): Promise<DatabaseProperties | null> {
  const { database, settings } = target;
  await lockRestoreOf(maintenance, database);
  await dropAbandonedScratchDatabases(maintenance);
  await dropOverduePrevious(maintenance, settings, spare);
  const live = await readDatabaseProperties(maintenance, database);
  refuseIfAppeared(target, live !== null);
  if (live === null) return null;
  await refuseIfNotSwappable(maintenance, database);
  if (!disconnectUsers) await refuseIfInUse(maintenance, database);
  return { ...live, comment: ownComment(live.comment) };
}

/** What the gate has decided was about the database that was there then, or was not. */
function refuseIfAppeared({ database, exists }: Target, isThere: boolean): void {
  if (isThere === exists) return;
  throw new ManageDbError('DATABASE_IN_USE', `${database} ${isThere ? 'has appeared' : 'has gone'} in this moment.`, {
    hint: 'Look at it, and run it again.',
  });
}

export function describeUnchanged({ database, exists, host, port }: Target): string {
  return exists
    ? `${database} on ${host}:${port} was not changed.`
    : `${database} on ${host}:${port} still does not exist.`;
}
