import type { Context } from 'mocha';
import { testServerMajor } from './scratch-database.js';

/**
 * Skips a test of what PostgreSQL has since `major`, where the tests' server is older, as in `npm run test:matrix`.
 *
 * @param what the beginning of a sentence: `MERGE`
 */
export async function needServer(test: Context, major: number, what: string): Promise<void> {
  if ((await testServerMajor()) >= major) return;
  process.stdout.write(`      skipped: ${what} is there since PostgreSQL ${major}\n`);
  test.skip();
}
