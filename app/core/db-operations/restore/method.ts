import { mayCreateDatabases } from '../../../database/catalog/create-right.js';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';
import { readSwapObstacles } from '../swap/swap-preconditions.js';

export const RESTORE_METHODS = ['swap', 'transaction'] as const;

/**
 * `swap`: into a scratch database, which then takes the place of the live one by renaming. `transaction`: inside the live
 * one, in one transaction.
 */
export type RestoreMethod = (typeof RESTORE_METHODS)[number];

export interface ChosenMethod {
  readonly method: RestoreMethod;
  /** Why, in a sentence. */
  readonly because: string;
}

/**
 * Swapping keeps readers out for a moment and leaves the replaced database to go back to, so it is preferred; it needs
 * CREATEDB and a target that nothing is tied to.
 *
 * @param maintenance a session on another database of the server
 * @throws ManageDbError `USAGE` for a method that is none, or that needs a database which is not there
 */
export async function chooseMethod(
  maintenance: Queryable,
  target: Target,
  wanted: RestoreMethod | undefined,
): Promise<ChosenMethod> {
  const { database, exists, user } = target;
  if (wanted !== undefined && !RESTORE_METHODS.includes(wanted)) {
    throw new ManageDbError('USAGE', `There is no method ${String(wanted)}. Nothing was changed.`, {
      hint: `Methods: ${RESTORE_METHODS.join(', ')}`,
    });
  }
  if (!exists) {
    if (wanted !== 'transaction') return { method: 'swap', because: `${database} does not exist yet.` };
    throw new ManageDbError('USAGE', `${database} does not exist, so nothing can be restored inside it.`, {
      hint: 'Leave out --method: then it is made.',
    });
  }
  if (wanted !== undefined) return { method: wanted, because: 'It was asked for.' };
  if (!(await mayCreateDatabases(maintenance)))
    return { method: 'transaction', because: `${user} may not create databases.` };
  const tied = (await readSwapObstacles(maintenance, database)).filter(({ kind }) => kind === 'tied');
  if (tied.length === 0) return { method: 'swap', because: 'Nothing is in the way of it.' };
  return { method: 'transaction', because: `A swap would lose ${tied.map(({ what }) => what).join(', ')}.` };
}
