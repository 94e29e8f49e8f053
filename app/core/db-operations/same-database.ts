import type { Queryable } from '../../database/queryable.js';
import { readObservation } from '../../database/records/observation.js';
import { ManageDbError } from '../errors.js';
import type { Target } from '../safety/gate.js';

/**
 * Refuses two environments whose settings lead to one database: what is compared would be equal to itself, and what is
 * copied would replace itself.
 *
 * @throws ManageDbError `USAGE`
 */
export async function refuseSameDatabase(from: Target, to: Target, ours: Queryable, theirs: Queryable): Promise<void> {
  const [one, other] = [await readObservation(ours), await readObservation(theirs)];
  if (one.systemIdentifier !== other.systemIdentifier || one.databaseOid !== other.databaseOid) return;
  throw new ManageDbError(
    'USAGE',
    `${from.environment} and ${to.environment} are one and the same database: ${to.database} at ${to.host}:${to.port}.`,
    { hint: `See where their settings come from: manage_db show-config --env ${to.environment}` },
  );
}
