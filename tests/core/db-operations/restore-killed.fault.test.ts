import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import pg from 'pg';
import { backupDatabase } from '../../../app/core/db-operations/backup.js';
import { verifyOperationLog } from '../../../app/core/db-operations/operation-log.js';
import { type RestoreOptions, restoreDatabase } from '../../../app/core/db-operations/restore.js';
import { readStampStatus } from '../../../app/core/db-operations/stamp.js';
import { undoRestore } from '../../../app/core/db-operations/undo-restore.js';
import { hasSaid, SAYING_STEPS, type Stop, startProgram, untilUnlocked } from '../../support/child-program.js';
import {
  dropDatabase,
  onServer,
  type ScratchDatabase,
  scratchDatabase,
  withClient,
} from '../../support/scratch-database.js';
import { type ScratchWorkspace, scratchWorkspace } from '../../support/scratch-workspace.js';
import { stampAs } from '../../support/stamp.js';
import { until } from '../../support/until.js';

const file = new URL('../../../app/core/db-operations/restore.ts', import.meta.url).href;

const PROGRAM = `
  import { restoreDatabase } from '${file}';
  await restoreDatabase({ env: 'testing', id: 'latest', consent: { yes: true }, disconnectUsers: true,
    onProgress: ${SAYING_STEPS} });
  process.stdout.write('the end\\n');`;

describe('a restore that is killed', () => {
  let db: ScratchDatabase;
  let workspace: ScratchWorkspace;
  beforeEach(async () => {
    db = await scratchDatabase(`
      create table public.patients (id int primary key);
      insert into public.patients select n from generate_series(1, 20000) n`);
    await onServer((server) => server.query(`comment on database ${db.name} is 'the clinic'`));
    await withClient(db.url, (client) => stampAs(client, 'testing'));
    workspace = scratchWorkspace({ '.env.testing': `TESTING_DATABASE_URL=${db.url}\n` });
    await workspace.run(() => backupDatabase(env));
    await db.query('insert into public.patients values (-1)');
  });
  afterEach(async () => {
    await workspace.remove();
    for (const name of await databases(`${db.name}_previous_%`)) await dropDatabase(name);
    await dropDatabase(db.name);
  });

  const env = { env: 'testing', consent: { yes: true } } as const;
  const restore = (options: Partial<RestoreOptions> = {}) =>
    workspace.run(() => restoreDatabase({ ...env, id: 'latest', ...options }));
  const databases = (pattern: string) =>
    onServer(async (server) => {
      const { rows } = await server.query<{ name: string }>(
        'select datname::text as name from pg_database where datname like $1',
        [pattern],
      );
      return rows.map(({ name }) => name);
    });
  const count = async () =>
    Number((await db.query<{ count: string }>('select count(*) from public.patients')).rows[0]?.count);
  const start = (stop?: Stop): ChildProcess => startProgram(PROGRAM, workspace.root, stop);

  for (const [step, afterMs] of [
    ['verifying checksums', 0],
    ['creating a scratch database', 30],
    ['restoring public.patients', 0],
    ['comparing row counts', 0],
    ['checking triggers', 0],
    ['swapping', 0],
    ['swapping', 20],
    ['swapping', 60],
  ] as const) {
    it(`leaves a whole database, and nothing else after the next one (${step}, ${afterMs} ms later)`, async () => {
      // the end of it is a moving target: within one step it is the old one, or the new one
      const isMoving = step === 'swapping';
      const child = start(isMoving ? undefined : { at: step, afterMs });
      const exited = once(child, 'exit');
      await hasSaid(child, isMoving ? step : 'stopped');
      if (isMoving) await sleep(afterMs);
      child.kill('SIGKILL');
      await exited;

      // either all of the old one or all of the new one
      const rows = await count();
      if (step === 'swapping') expect(rows).to.be.oneOf([20_000, 20_001]);
      else expect(rows).to.equal(20_001);
      expect((await workspace.run(() => readStampStatus('testing'))).status).to.include({ state: 'trusted' });
      await untilUnlocked(db.name);
      await restore({ disconnectUsers: true });
      expect(await count()).to.equal(20_000);
      expect(await databases('manage_db_scratch%')).to.deep.equal([]);
      expect(await workspace.run(() => verifyOperationLog(env))).to.include({ ok: true });
      // what was replaced by the killed one is kept, and leads back
      if (rows === 20_000 && (await databases(`${db.name}_previous_%`)).length > 0) {
        await workspace.run(() => undoRestore(env));
        expect(await count()).to.equal(20_001);
      }
    });
  }

  it('is no reason to refuse the next, but one that still runs is', async () => {
    const child = start({ at: 'restoring public.patients' });
    const exited = once(child, 'exit');
    try {
      await hasSaid(child, 'stopped');
      const error = await restore().catch((reason: unknown) => reason);
      expect(error).to.include({ code: 'DATABASE_IN_USE' });
      expect(String(error))
        .to.include(`Another restore, copy, drop or reset of ${db.name} is running`)
        .and.include('was not changed');
    } finally {
      child.kill('SIGKILL');
      await exited;
    }
  });

  it('or not, keeps ten clients that come back at once out for less than 300 ms, beside what their logins take', async () => {
    let isOver = false;
    /** How long each was out, of those that have come back. */
    const gaps = new Map<number, number>();
    const client = async (_: unknown, number: number) => {
      let last = performance.now();
      while (!isOver) {
        const one = new pg.Client({ connectionString: db.url });
        one.on('error', () => undefined);
        try {
          await one.connect();
          gaps.set(number, Math.max(gaps.get(number) ?? 0, performance.now() - last));
          last = performance.now();
          // works until it is disconnected, as an application does
          while (!isOver) {
            await one.query('select count(*) from public.patients where id < 10');
            last = performance.now();
          }
        } catch {
          await sleep(5);
        } finally {
          await one.end().catch(() => undefined);
        }
      }
    };
    const clients = Array.from({ length: 10 }, client);
    const areBack = () => until('all ten are back', () => gaps.size === 10);
    const longestOf = async (work: () => Promise<unknown>): Promise<number> => {
      gaps.clear();
      await work();
      await areBack();
      return Math.max(...gaps.values());
    };
    const swaps: number[] = [];
    try {
      await areBack();
      for (let round = 0; round < 3; round++) {
        const base = await longestOf(disconnect);
        const longest = await longestOf(() => restore({ disconnectUsers: true }));
        // where the logins are slow, the swap is as well
        swaps.push(longest - 3 * base);
      }
    } finally {
      isOver = true;
      await Promise.all(clients);
    }
    // the machine may have been busy with something else, once or twice
    expect(Math.min(...swaps), swaps.join(', ')).to.be.lessThan(300);
  });

  const disconnect = () =>
    onServer((server) =>
      server.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [db.name]),
    );
});
