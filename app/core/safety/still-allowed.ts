import { getConfig } from '../../config/db-config.js';
import type { Queryable } from '../../database/queryable.js';
import { readStamp, type Stamp } from '../../database/records/identity.js';
import { readOpenEngagements } from '../../database/records/kill-switch.js';
import { readObservation } from '../../database/records/observation.js';
import { ManageDbError } from '../errors.js';
import { nextCommand } from '../next-command.js';
import type { Target } from './gate.js';
import { windowLock } from './time-windows.js';

/**
 * What the gate has decided by must still be true: a restore takes hours, and only its end changes the live database.
 *
 * @param work for the message
 * @throws ManageDbError `STAMP_MISMATCH`, `KILL_SWITCH`
 */
export async function refuseIfChanged(
  present: Queryable,
  { environment, database, stamp }: Target,
  work = 'the restore',
): Promise<void> {
  const { now, hasRecords } = await readObservation(present);
  refuseIfStamped(stamp?.says ?? null, hasRecords ? await readStamp(present) : null, work);
  const [engagement] = hasRecords ? await readOpenEngagements(present) : [];
  const lock =
    engagement === undefined
      ? windowLock((await getConfig()).killSwitch, now)
      : `${engagement.actor} has engaged it: ${engagement.reason}`;
  if (lock === null) return;
  throw new ManageDbError('KILL_SWITCH', `The kill switch of ${environment} (${database}) stops ${work}: ${lock}.`, {
    hint: `See: manage_db kill-switch status --env ${environment}`,
  });
}

/** The stamp that the gate has seen must still be the one that is there. */
function refuseIfStamped(seen: Stamp | null, now: Stamp | null, work: string): void {
  if (
    seen?.stampedAt === now?.stampedAt &&
    seen?.environment === now?.environment &&
    seen?.protected === now?.protected &&
    seen?.killSwitch === now?.killSwitch
  )
    return;
  throw new ManageDbError('STAMP_MISMATCH', `Somebody has stamped the database during ${work}.`, {
    hint: `See: ${nextCommand('switch-env --status')}`,
  });
}
