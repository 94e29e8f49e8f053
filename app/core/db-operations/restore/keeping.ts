import { ManageDbError } from '../../errors.js';

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
