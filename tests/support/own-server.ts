import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { locateHome } from '../../app/services/embedded/server-home.js';
import { startEmbeddedServer } from '../../app/services/embedded-postgres.js';
import { withClient } from './scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from './scratch-workspace.js';
import { removeServerData } from './server-data.js';
import { applyTestSettings } from './test-settings.js';
import { mountTmpfs, unmountTmpfs } from './tmpfs.js';

/** A server that a test may kill, fill up and start again, with a workspace whose environment `testing` is on it. */
export interface OwnServer {
  readonly workspace: ScratchWorkspace;
  readonly dataDirectory: string;
  readonly port: number;
  readonly url: (database: string) => string;
  readonly query: <Row extends pg.QueryResultRow>(database: string, text: string) => Promise<Row[]>;
  /** The databases that are no templates, by their names. */
  readonly databases: () => Promise<string[]>;
  /** The postmaster's. */
  readonly pid: () => number;
  /** SIGKILL for the postmaster and everything below it, as the kernel does it when there is no memory left. */
  readonly kill: () => void;
  /** Starts it again, with crash recovery where it was killed, and waits until it answers. */
  readonly start: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

/**
 * @param options.tmpfsMb gives the server a disk of its own of that size; only where `canMount()`
 */
export async function ownServer({ tmpfsMb }: { readonly tmpfsMb?: number } = {}): Promise<OwnServer> {
  const workspace = scratchWorkspace();
  const disk = tmpfsMb === undefined ? null : locateHome(workspace.root, null).folder;
  if (disk !== null) {
    mkdirSync(disk, { recursive: true });
    mountTmpfs(disk, `size=${tmpfsMb}m,mode=0755`);
  }
  const unmount = () => (disk === null ? undefined : unmountTmpfs(disk));
  let server: Awaited<ReturnType<typeof startEmbeddedServer>>;
  try {
    server = await startEmbeddedServer(workspace.root);
  } catch (error) {
    unmount();
    throw error;
  }
  const { dataDirectory, port, user, password } = server;
  const url = (database: string) =>
    `postgresql://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  await applyTestSettings(url('postgres'));
  const query: OwnServer['query'] = (database, text) =>
    withClient(url(database), async (client) => (await client.query(text)).rows);
  const pid = () => Number(readFileSync(join(dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0]);
  const kill = () => {
    if (!existsSync(join(dataDirectory, 'postmaster.pid'))) return;
    const postmaster = pid();
    const children = childrenOf(postmaster);
    for (const one of [postmaster, ...children]) killHard(one);
  };
  // the dead postmaster is taken for a living one until this process has noticed that its child has ended, and one whose
  // session was killed restarts everything while its file still says that it is ready
  const start = async () => {
    for (let waited = 0; ; waited += 20) {
      try {
        await startEmbeddedServer(workspace.root, { port });
        await query('postgres', 'select');
        return;
      } catch (error) {
        if (waited > 60_000) throw error;
        await sleep(20);
      }
    }
  };
  return {
    workspace,
    dataDirectory,
    port,
    url,
    query,
    databases: async () =>
      (
        await query<{ name: string }>(
          'postgres',
          'select datname::text as name from pg_database where not datistemplate order by 1',
        )
      ).map(({ name }) => name),
    pid,
    kill,
    start,
    async remove() {
      await workspace.remove();
      // a server that is just recovering does not stop otherwise
      kill();
      unmount();
      removeServerData(dataDirectory);
      if (disk !== null) rmSync(disk, { recursive: true, force: true });
    },
  };
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false;
      }
    })
    .map(Number);
}

function killHard(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has gone with the others
  }
}
