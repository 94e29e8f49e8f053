import type { Context } from 'mocha';
import { findClientTools } from '../../app/services/client-tools.js';
import { testServerMajor } from './scratch-database.js';

/** Skips a test where the tests' server is newer than the machine's client tools, as it is in `npm run test:matrix`. */
export async function needFittingTools(test: Context): Promise<void> {
  const fitting = await findClientTools({ serverMajor: await testServerMajor() }).catch(() => null);
  if (fitting !== null) return;
  process.stdout.write('      skipped: the client tools here are older than the server\n');
  test.skip();
}
