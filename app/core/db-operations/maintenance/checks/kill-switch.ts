import { readOpenEngagements } from '../../../../database/records/kill-switch.js';
import { readObservation } from '../../../../database/records/observation.js';
import { ok, type RunCheck } from '../check.js';

/** Whether somebody has engaged the kill switch, and may have forgotten it. */
export const checkKillSwitch: RunCheck = async (db, { environment }) => {
  const { hasRecords } = await readObservation(db);
  const [engaged] = hasRecords ? await readOpenEngagements(db) : [];
  if (engaged === undefined) return ok('released', 'Nobody has engaged the kill switch.');
  const { actor, engagedAt, reason, expiresAt } = engaged;
  return {
    status: 'warning',
    value: 'engaged',
    detail: `${actor} has engaged the kill switch at ${engagedAt}${expiresAt === null ? '' : ` until ${expiresAt}`}: ${reason}`,
    fix: `manage_db kill-switch status --env ${environment}`,
  };
};
