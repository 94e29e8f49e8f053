import { ManageDbError } from '../app/core/errors.js';
import * as z from '../app/core/schema.js';
import { durationMs } from './duration.js';

/**
 * A moment as people write it: a date or a time (`2026-11-21`, `2026-11-21T08:00`, in UTC unless it says otherwise), or how
 * long ago (`2h`, `7d`).
 *
 * @param flag where it was written, for the error
 * @throws ManageDbError `USAGE`
 */
export function moment(text: string, flag: string): Date {
  const isDate = /^\s*\d+-/.test(text);
  const time = isDate ? timeOf(text.trim().replace(' ', 'T')) : new Date(Date.now() - durationMs(text, flag));
  // before the year 1 there is nothing, and no ISO text for it
  if (time !== null && time.getUTCFullYear() > 0) return time;
  throw new ManageDbError('USAGE', `${flag} takes a time, or how long ago, not ${JSON.stringify(text)}.`, {
    hint: `For instance ${flag} 2026-11-21, ${flag} 2026-11-21T08:00Z, ${flag} 2h or ${flag} 7d.`,
  });
}

function timeOf(text: string): Date | null {
  if (z.iso.date().safeParse(text).success) return new Date(text);
  if (!z.iso.datetime({ offset: true, local: true }).safeParse(text).success) return null;
  return new Date(/(?:Z|[+-]\d{2}:\d{2})$/.test(text) ? text : `${text}Z`);
}
