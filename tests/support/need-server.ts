import type { Context } from 'mocha';
import { testServerMajor } from './scratch-database.js';

/**
 * Skips a test of what PostgreSQL has since `major`, where the tests' server is older, as in `npm run test:matrix`.
 *
 * @param what the beginning of a sentence: `MERGE`
 */
export async function needServer(test: Context, major: number, what: string): Promise<void> {
  if ((await testServerMajor()) < major) skip(test, `${what} is there since PostgreSQL ${major}`);
}

/**
 * Skips a test of what PostgreSQL had before `major`, where the tests' server is not older.
 *
 * @param what the beginning of a sentence: `a column system_user`
 */
export async function needOlderServer(test: Context, major: number, what: string): Promise<void> {
  if ((await testServerMajor()) >= major) skip(test, `${what} was there before PostgreSQL ${major}`);
}

function skip(test: Context, reason: string): never {
  process.stdout.write(`      skipped: ${reason}\n`);
  return test.skip();
}
