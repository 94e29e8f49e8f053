import type pg from 'pg';
import { openClient } from '../database/open-client.js';
import { type ScratchDatabase, scratchDatabase } from './scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from './scratch-workspace.js';
import { stampAs } from './stamp.js';

/** A stamped database that is `testing` of a workspace, with a session in it. */
export interface TestingDatabase {
  readonly database: ScratchDatabase;
  readonly client: pg.Client;
  readonly workspace: ScratchWorkspace;
  /** Without the session, which may be another one by then. */
  readonly remove: () => Promise<void>;
}

/**
 * @param sql what is in the database
 * @param files of the workspace, beside the settings of `testing`
 */
export async function testingDatabase(
  sql: string,
  files: Readonly<Record<string, string>> = {},
): Promise<TestingDatabase> {
  const database = await scratchDatabase(sql);
  const client = await openClient(database.url);
  await stampAs(client, 'testing');
  const workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${database.url}\n`, ...files });
  return {
    ...{ database, client, workspace },
    async remove() {
      await workspace.remove();
      await database.drop();
    },
  };
}
