import { readOpenEngagements } from '../../../../database/records/kill-switch.js';
import { readObservation } from '../../../../database/records/observation.js';
import { ok, type RunCheck, toBeReader } from '../check.js';

/** Whether somebody has engaged the kill switch, and may have forgotten it. */
export const checkKillSwitch: RunCheck = async (db, { environment, user }) => {
  const { hasRecords, hasHiddenRecords } = await readObservation(db);
  if (hasHiddenRecords) {
    const detail = 'Whether somebody has engaged it cannot be read by this login.';
    return { status: 'info', value: null, detail, fix: toBeReader({ environment, user }) };
  }
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
