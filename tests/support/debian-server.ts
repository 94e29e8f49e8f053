import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.js';
import { withClient } from './scratch-database.js';
import { TEST_SETTINGS } from './test-settings.js';

/** A server of the system's packages, which has the extensions that the embedded one lacks. Nobody needs a password. */
export interface DebianServer {
  readonly url: (database: string) => string;
  /** Starts it, or starts it again, with these settings. */
  readonly start: (settings: Readonly<Record<string, string>>) => Promise<void>;
  readonly remove: () => Promise<void>;
}

const ORDINARY_USER = 65534;
const VERSIONS = '/usr/lib/postgresql';

/** The folder of the newest server for which the package of `extension` is installed, or `null`. */
export function programsWith(extension: string): string | null {
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : [];
  const found = versions
    .filter((version) => existsSync(join(VERSIONS, version, 'bin', 'postgres')))
    .filter((version) => existsSync(`/usr/share/postgresql/${version}/extension/${extension}.control`))
    .sort((a, b) => Number(a) - Number(b))
    .at(-1);
  return found === undefined ? null : join(VERSIONS, found, 'bin');
}

/** An empty server that does not run yet. */
export async function debianServer(programs: string): Promise<DebianServer> {
  const folder = mkdtempSync(join(tmpdir(), 'manage-db-debian-'));
  chmodSync(folder, 0o755);
  const data = join(folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(data, ORDINARY_USER, ORDINARY_USER);
  const account = { cwd: folder, env: { LC_ALL: 'C' }, ...(isRoot ? { uid: ORDINARY_USER, gid: ORDINARY_USER } : {}) };
  const options = ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync', '-E', 'UTF8', '--no-locale'];
  const { status, stderr } = spawnSync(join(programs, 'initdb'), options, { ...account, encoding: 'utf8' });
  if (status !== 0) throw new Error(`initdb failed: ${stderr}`);
  const port = await freePort();
  const url = (database: string) => `postgresql://postgres@127.0.0.1:${port}/${database}`;
  let server: ChildProcess | null = null;
  const stop = async (): Promise<void> => {
    const running = server;
    server = null;
    if (running === null || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGINT');
    await ended;
  };
  return {
    url,
    async start(settings) {
      await stop();
      const all = {
        port: String(port),
        listen_addresses: '127.0.0.1',
        unix_socket_directories: '',
        ...TEST_SETTINGS,
        ...settings,
      };
      const words = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
      server = spawn(join(programs, 'postgres'), ['-D', data, ...words], { ...account, stdio: 'ignore' });
      for (let attempt = 0; ; attempt += 1) {
        const isReady = await withClient(url('postgres'), (client) => client.query('select 1')).catch(() => null);
        if (isReady !== null) return;
        if (attempt > 200 || server.exitCode !== null) throw new Error('the server does not start');
        await sleep(50);
      }
    },
    async remove() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
