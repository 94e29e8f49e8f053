import type { Context } from 'mocha';
import { findClientTools } from '../../app/services/client-tools.js';
import { withClient } from './scratch-database.js';
import { testUrl } from './test-server.js';

/** Skips a test where the tests' server is newer than the machine's client tools, as it is in `npm run test:matrix`. */
export async function needFittingTools(test: Context): Promise<void> {
  const { rows } = await withClient(testUrl('postgres'), (client) =>
    client.query<{ major: number }>(`select current_setting('server_version_num')::int / 10000 as major`),
  );
  const serverMajor = rows[0]?.major ?? Number.NaN;
  const fitting = await findClientTools({ serverMajor }).catch(() => null);
  if (fitting === null) test.skip();
}
