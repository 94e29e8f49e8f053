import type { ConnectionSettings } from '../../../config/connection-settings.js';
import type { Queryable } from '../../../database/queryable.js';
import { withConnection } from '../../../services/with-connection.js';
import { hasWholeLog } from '../../safety/operation-log/carry-over.js';
import { dropDatabase } from '../scratch/scratch-database.js';
import { listPrevious } from './previous-database.js';

/**
 * Drops the previous databases of `settings.database` whose time is over, and returns their names. One that has logged what
 * the live database has not, or whose live database is gone, is the only copy: it stays, and so does what this login may
 * not drop.
 *
 * @param maintenance a session on another database of the server that holds the lock on restores of this one
 * @param spare one that is needed, whether or not its time is over
 */
export async function dropOverduePrevious(
  maintenance: Queryable,
  settings: ConnectionSettings,
  spare: string | null = null,
): Promise<string[]> {
  const dropped: string[] = [];
  for (const { name, database, isOver } of await listPrevious(maintenance)) {
    if (!isOver || database !== settings.database || name === spare) continue;
    const isDropped = await isKnownWholly(name, settings)
      .then(async (isKnown) => {
        if (isKnown) await dropDatabase(maintenance, name);
        return isKnown;
      })
      .catch(() => false);
    if (isDropped) dropped.push(name);
  }
  return dropped;
}

function isKnownWholly(previous: string, settings: ConnectionSettings): Promise<boolean> {
  return withConnection(settings, {}, (live) =>
    withConnection(settings, { database: previous }, (from) => hasWholeLog(live, from)),
  );
}
