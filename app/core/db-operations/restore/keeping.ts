import { ManageDbError } from '../../errors.js';
import type { RestoreMethod } from './method.js';

/** How long a replaced database is kept: milliseconds, `true` for 24 hours, `false` not at all. */
export type Keeping = boolean | number;

/** 24 hours: what is kept although nobody has said for how long. */
export const KEPT_BY_DEFAULT_MS = 24 * 3_600_000;

/**
 * Milliseconds that a replaced database is kept; `null`: not at all.
 *
 * @throws ManageDbError `USAGE`
 */
export function keptFor(keeping: Keeping): number | null {
  if (keeping === false) return null;
  if (keeping === true) return KEPT_BY_DEFAULT_MS;
  if (Number.isFinite(keeping) && keeping > 0) return keeping;
  throw new ManageDbError('USAGE', `A replaced database is kept for some milliseconds, not ${keeping}.`, {
    hint: 'For instance --keep-previous 24h',
  });
}

/**
 * Inside the live database nothing is replaced that could be kept.
 *
 * @throws ManageDbError `USAGE` where both were asked for, and for a keeping that is none
 */
export function refuseUnkeepable(method: RestoreMethod | undefined, keeping: Keeping | undefined): void {
  if (keeping !== undefined) keptFor(keeping);
  if (method !== 'transaction' || !isWanted(keeping)) return;
  throw new ManageDbError(
    'USAGE',
    'In one transaction no database is replaced, so none can be kept. Nothing was changed.',
    {
      hint: 'Leave out --keep-previous: what was there is backed up. Or restore by --method swap.',
    },
  );
}

export function isWanted(keeping: Keeping | undefined): boolean {
  return keeping !== undefined && keeping !== false;
}
