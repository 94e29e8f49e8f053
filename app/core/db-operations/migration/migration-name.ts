import { ManageDbError } from '../../errors.js';

/** Longer ones are cut off by some file systems, version and ending included. */
const LONGEST = 200;

/**
 * A migration's name as it stands in the file's: snake case, of letters and digits that every file system has.
 *
 * @throws ManageDbError `USAGE` where nothing is left of it
 * @example migrationName('Add phone-numbers to Patients') // 'add_phone_numbers_to_patients'
 */
export function migrationName(words: string): string {
  const name = words
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .replaceAll('ß', 'ss')
    .replace(/\.(sql|ts)$/i, '')
    .replace(/(\p{Ll}|\d)(\p{Lu})/gu, '$1_$2')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '');
  if (name === '') {
    throw new ManageDbError(
      'USAGE',
      `${JSON.stringify(words)} gives no name for a file: it has none of the letters a to z, and no digit.`,
      { hint: 'Say what it does: manage_db create-db-migration add_phone_to_patients' },
    );
  }
  if (name.length > LONGEST) {
    throw new ManageDbError('USAGE', `The name of a migration has at most ${LONGEST} characters, not ${name.length}.`, {
      hint: 'Say it in fewer words; the rest can stand in the file.',
    });
  }
  return name;
}
