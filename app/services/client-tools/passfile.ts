import { ManageDbError } from '../../core/errors.js';
import { withTemporaryFile } from '../work-folder.js';

/**
 * Runs `work` with the path of a password file (0600, in a folder of its own with 0700) that libpq reads `password`
 * from. It is gone afterwards.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` for a password that such a file cannot hold, and what writing it throws
 */
export async function withPassfile<T>(password: string, work: (path: string) => Promise<T>): Promise<T> {
  return withTemporaryFile('passfile', passfileLine(password), work);
}

/** Any host, port, database and user: the file serves one child process whose server is fixed by its environment. */
function passfileLine(password: string): string {
  if (/[\r\n\0]/.test(password)) {
    throw new ManageDbError(
      'INVALID_CONFIGURATION',
      'The database password contains a line break, which no password file can hold.',
      { hint: 'Check how the password was read (a trailing newline?), or set another one.' },
    );
  }
  return `*:*:*:*:${password.replace(/[\\:]/g, '\\$&')}\n`;
}
