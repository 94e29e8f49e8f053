import ms from 'ms';
import { ManageDbError } from '../app/core/errors.js';

/**
 * Milliseconds of a duration as people write it: `30m`, `2h`, `3d`.
 *
 * @param flag where it was written, for the error
 * @throws ManageDbError `USAGE`
 */
export function durationMs(text: string, flag: string): number {
  const value = /^\s*\d/.test(text) ? ms(text as ms.StringValue) : undefined;
  // a bare number would be milliseconds, which nobody means
  if (value !== undefined && Number.isFinite(value) && value > 0 && /[a-z]\s*$/i.test(text)) return value;
  throw new ManageDbError('USAGE', `${flag} takes a duration, not ${JSON.stringify(text)}.`, {
    hint: `For instance ${flag} 30m, ${flag} 2h or ${flag} 3d.`,
  });
}
