import { isSafetyLabel } from '../../backup/safety-label.js';
import { ok, type RunCheck } from '../check.js';

const HOUR_MS = 3_600_000;
/** What is protected is expected to be backed up every day, with two hours of grace. */
const OLDEST_HOURS = { protected: 26, unprotected: 7 * 24 };

export const checkLastBackup: RunCheck = async (_db, { environment, isProtected, signal }) => {
  // Loaded here, because the client tools behind it are no business of the other checks.
  const { listBackups } = await import('../../list-backups.js');
  const backups = await listBackups({ env: environment, signal });
  const complete = backups.filter(({ state, isWhole }) => state === 'complete' && isWhole);
  const newest = complete.find(({ label }) => !isSafetyLabel(label));
  const fix = `manage_db create-backup --env ${environment}`;
  if (newest === undefined) {
    return {
      status: isProtected ? 'critical' : 'warning',
      value: null,
      detail: `There is no complete backup of ${environment} in the workspace${complete.length === 0 ? '' : ' but those that were made before something was dropped or replaced'}.`,
      fix,
    };
  }
  const hours = Math.floor((Date.now() - Date.parse(newest.createdAt)) / HOUR_MS);
  const detail = `The newest backup, ${newest.id}, is ${age(hours)} old.`;
  const { protected: expected, unprotected: longest } = OLDEST_HOURS;
  if (isProtected && hours >= longest) return { status: 'critical', value: hours, detail, fix };
  return hours >= (isProtected ? expected : longest)
    ? { status: 'warning', value: hours, detail, fix }
    : ok(hours, detail);
};

function age(hours: number): string {
  if (hours < 1) return 'less than an hour';
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}
