import { ManageDbError } from '../../core/errors.js';

/** What file systems and S3 both take, in bytes. */
const LONGEST_NAME = 255;
const LONGEST_KEY = 900;

/** What a folder calls a file while it is being written. */
export const UNFINISHED = /^\.[0-9a-f]{12}\.unfinished$/;

/** Where an object storage keeps the checksums that were known only after the upload had begun. */
export const CHECKSUMS = '.checksums/';

/**
 * `key` where it is one: names with `/` between them, none of which leads anywhere else.
 *
 * @throws ManageDbError `USAGE`
 */
export function checkedKey(key: string): string {
  const problem = problemOf(key);
  if (problem === null) return key;
  throw new ManageDbError('USAGE', `${JSON.stringify(key)} cannot be the name of a stored file: ${problem}.`, {
    hint: 'A name is relative, without . and .. and control characters: production/2026-01-31/manifest.json.',
  });
}

function problemOf(key: string): string | null {
  const names = key.split('/');
  if (/\p{Cs}/u.test(key)) return 'it is no valid Unicode';
  if (/\p{Cc}|\\/u.test(key)) return 'it has a control character or a backslash';
  if (names.includes('')) return 'it is empty, or begins, ends or goes on with nothing between two slashes';
  if (names.includes('.') || names.includes('..')) return 'it leads out of its folder';
  if (key.startsWith(CHECKSUMS) || names.some((name) => UNFINISHED.test(name)))
    return 'it is used by the storage itself';
  if (names.some((name) => Buffer.byteLength(name) > LONGEST_NAME) || Buffer.byteLength(key) > LONGEST_KEY) {
    return 'it is too long';
  }
  return null;
}
