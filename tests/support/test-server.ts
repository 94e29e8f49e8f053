/** The server that all tests share: manage_db's own embedded one, started before the first test, stopped after the last. */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { locateHome } from '../../app/services/embedded/server-home.js';
import { startEmbeddedServer, stopEmbeddedServer } from '../../app/services/embedded-postgres.js';
import { removeServerData } from './server-data.js';
import { applyTestSettings } from './test-settings.js';
import { canMount, mountTmpfs, unmountTmpfs } from './tmpfs.js';

export interface TestServer {
  readonly workspace: string;
  readonly dataDirectory: string;
  /** Whether its data lie in a file system of their own, in memory. */
  readonly isMounted: boolean;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

/** Handed to mocha's worker processes through the environment. */
const VARIABLE = 'MANAGE_DB_TEST_SERVER';

export async function startTestServer(): Promise<void> {
  const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'manage-db-tests-')));
  chmodSync(workspace, 0o755);
  const home = locateHome(workspace, null).folder;
  // a database is three hundred files: making and removing thousands of them would be a good part of the time
  const isMounted = canMount();
  if (isMounted) {
    mkdirSync(home, { recursive: true });
    mountTmpfs(home, 'mode=0755');
  }
  const { host, port, user, password, dataDirectory } = await startEmbeddedServer(workspace);
  const server: TestServer = { workspace, dataDirectory, isMounted, host, port, user, password };
  process.env[VARIABLE] = JSON.stringify(server);
  await applyTestSettings(testUrl('postgres'));
}

export async function stopTestServer(): Promise<void> {
  const { workspace, dataDirectory, isMounted } = testServer();
  await stopEmbeddedServer(workspace);
  if (isMounted) unmountTmpfs(dirname(dataDirectory));
  removeServerData(dataDirectory);
  rmSync(workspace, { recursive: true, force: true });
}

export function testServer(): TestServer {
  const server = process.env[VARIABLE];
  if (server === undefined) throw new Error('The test server is not running: run the tests with mocha (npm test).');
  return JSON.parse(server) as TestServer;
}

/** The URL of one database on the test server. */
export function testUrl(database: string, login: { user: string; password: string } = testServer()): string {
  const { host, port } = testServer();
  return `postgresql://${encodeURIComponent(login.user)}:${encodeURIComponent(login.password)}@${host}:${port}/${encodeURIComponent(database)}`;
}
