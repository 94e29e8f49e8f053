import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { undoRestore } from '../../../app/core/db-operations/undo-restore.js';
import { findClientTools } from '../../../app/services/client-tools.js';
import { type FaultClinic, faultClinic, outcomeOf, untilSeen } from '../../support/fault-clinic.js';

const COPYING = `select from pg_stat_activity where application_name like 'manage_db%' and query like 'COPY public.patients %'`;
const COMMITTING = `select from pg_stat_activity where wait_event = 'SyncRep'`;

/** Lets nothing of ours go on meanwhile. */
function waitUntilGone(pid: number): void {
  while (existsSync(`/proc/${pid}`)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
}

function isKilled(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

describe('a server that is killed', () => {
  let clinic: FaultClinic;
  let psql: string;
  const temporary = process.env.TMPDIR;
  before(async () => {
    clinic = await faultClinic();
    ({ psql } = await findClientTools({ serverMajor: 15 }));
  });
  after(async () => {
    await clinic.remove();
    if (temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = temporary;
  });

  /** Kills once, at the first progress of that name, and starts the server again at once, as systemd would. */
  const killingAt = (wanted: string, kill: () => void) => {
    let restarted: Promise<void> | null = null;
    return {
      onProgress: ({ step }: { readonly step: string }) => {
        if (!step.startsWith(wanted) || restarted !== null) return;
        restarted = (async () => {
          kill();
          await clinic.start();
        })();
        // whoever waits for it is told
        restarted.catch(() => undefined);
      },
      restarted: async () => {
        expect(restarted, `it never came to ${wanted}`).not.to.equal(null);
        await restarted;
      },
    };
  };
  const everything = () => clinic.kill();
  /** The server ends everybody else then, and recovers; returns when it has begun to. */
  const oneSession = () => {
    const sql = `select s.pid, c.pid from pg_stat_activity s, pg_stat_activity c
      where s.application_name like 'manage_db%' and s.pid <> pg_backend_pid() and c.backend_type = 'checkpointer'
      order by s.backend_start desc`;
    const found = execFileSync(psql, ['-XAtqc', sql, clinic.url('postgres')], { encoding: 'utf8' }).trim();
    expect(found).to.match(/^\d+\|\d+(\n|$)/);
    // those of pg_dump end by themselves, perhaps since they were looked up
    for (const [session, checkpointer] of found.split('\n').map((line) => line.split('|').map(Number))) {
      if (session && checkpointer && isKilled(session)) return waitUntilGone(checkpointer);
    }
    throw new Error('every session of manage_db has ended by itself');
  };
  const restored = async () => {
    await clinic.restore();
    expect(await clinic.contents()).to.equal(clinic.backedUp);
    await clinic.nothingIsLeft();
  };

  for (const [phase, kill] of [
    ['dumping public.patients', everything],
    ['dumping public.patients', oneSession],
    ['creating a scratch database', everything],
    ['restoring public.patients', everything],
    ['comparing contents', oneSession],
  ] as const) {
    const who = kill === everything ? 'altogether' : 'in one session';
    it(`${who} while a backup is ${phase} leaves the database, and no backup`, async () => {
      const before = await clinic.live();
      const fault = killingAt(phase, kill);
      const outcome = await outcomeOf(clinic.backup({ prove: true, onProgress: fault.onProgress }));
      await fault.restarted();
      if (outcome === 'succeeded') return expect.fail('it succeeded');
      expect(outcome.exitCode).to.equal(1);
      expect(outcome.message).to.include('No backup was made, and nothing of it was left behind.');
      expect(await clinic.contents()).to.equal(before);
      await clinic.backup({ label: 'the next one' });
      await clinic.nothingIsLeft();
    });
  }

  for (const [phase, kill] of [
    ['creating a scratch database', everything],
    ['restoring public.patients', everything],
    ['restoring public.patients', oneSession],
    ['comparing row counts', everything],
    ['checking triggers', oneSession],
  ] as const) {
    const who = kill === everything ? 'altogether' : 'in one session';
    it(`${who} while a restore is ${phase} leaves the database as it was`, async () => {
      const before = await clinic.live();
      const fault = killingAt(phase, kill);
      const outcome = await outcomeOf(clinic.restore({ onProgress: fault.onProgress }));
      await fault.restarted();
      if (outcome === 'succeeded') return expect.fail('it succeeded');
      expect(outcome.exitCode).to.equal(1);
      expect(outcome.message).to.include(`clinic on 127.0.0.1:${clinic.port} was not changed.`);
      expect(await clinic.contents()).to.equal(before);
      await restored();
    });
  }

  for (const [phase, kill] of [
    ['restoring in one transaction', everything],
    ['dumping public.patients', everything],
    ['dumping public.patients', oneSession],
    ['computing checksums', everything],
  ] as const) {
    const who = kill === everything ? 'altogether' : 'in one session';
    it(`${who} while a restore in one transaction is ${phase} leaves the database as it was`, async () => {
      const before = await clinic.live();
      const fault = killingAt(phase, kill);
      const outcome = await outcomeOf(clinic.restore({ method: 'transaction', onProgress: fault.onProgress }));
      await fault.restarted();
      if (outcome === 'succeeded') {
        // the server may be there again before psql has asked for it
        expect(phase, 'it succeeded').to.equal('restoring in one transaction');
        expect(await clinic.contents()).to.equal(clinic.backedUp);
        return;
      }
      expect(outcome.exitCode).to.equal(1);
      expect(outcome.message).to.include(`clinic on 127.0.0.1:${clinic.port} was not changed.`);
      expect(await clinic.contents()).to.equal(before);
      await restored();
    });
  }

  it('while a restore in one transaction loads a table leaves the database as it was', async () => {
    // ten times the rows: loading them takes longer than it takes to look for it
    await clinic.query(
      'clinic',
      `insert into public.patients select i, md5(i::text) from generate_series(100001, 700000) i`,
    );
    const { id } = await clinic.backup();
    const before = await clinic.live();
    // for as long as it has not begun, what is copied is the safety backup
    const loading = untilSeen(clinic, `${COPYING} and query like '% FROM stdin%'`).then(() => clinic.kill());
    const outcome = await outcomeOf(clinic.restore({ id, method: 'transaction' }));
    await loading;
    await clinic.start();
    if (outcome === 'succeeded') return expect.fail('it succeeded');
    expect(outcome.message).to.include('was not changed.');
    expect(await clinic.contents()).to.equal(before);
    await restored();
  });

  for (const method of ['swap', 'transaction'] as const) {
    it(`at any moment around the end of a ${method} leaves one database or the other, and says which`, async () => {
      const told = new Set<string>();
      for (let round = 0; round < 5; round++) {
        const before = await clinic.live();
        let restarted = Promise.resolve();
        const phase = method === 'swap' ? 'swapping' : 'computing checksums';
        let hasBegun = false;
        const outcome = await outcomeOf(
          clinic.restore({
            method,
            onProgress: ({ step }) => {
              if (!step.startsWith(phase) || hasBegun) return;
              hasBegun = true;
              restarted = sleep(round * (method === 'swap' ? 25 : 35)).then(async () => {
                clinic.kill();
                await clinic.start();
              });
            },
          }),
        );
        expect(hasBegun).to.equal(true);
        await restarted;
        const now = await clinic.contents();
        const said = outcome === 'succeeded' ? outcome : outcome.message;
        told.add(now === before ? 'before' : 'restored');
        if (said.includes('was not changed')) expect(now, said).to.equal(before);
        else if (said.includes('It cannot be asked')) expect([before, clinic.backedUp]).to.include(now);
        else expect(now, said).to.equal(clinic.backedUp);
        if (outcome !== 'succeeded') expect(said).to.match(/was not changed\.|clinic is restored|It cannot be asked/);
        await restored();
      }
      expect([...told]).to.include('before');
    });
  }

  /** From now on every COMMIT is written to the disk, and then waits for somebody who never comes. */
  const holdCommits = () => {
    const commands = [`alter system set synchronous_standby_names = 'nobody'`, 'select pg_reload_conf()'];
    execFileSync(psql, ['-XAtq', ...commands.flatMap((sql) => ['-c', sql]), clinic.url('postgres')]);
    // the checkpointer is who tells the others
    execFileSync('sleep', ['1.5']);
  };
  const letCommit = async () => {
    await clinic.query('postgres', 'alter system reset synchronous_standby_names');
    await clinic.query('postgres', 'select pg_reload_conf()');
  };

  for (const method of ['swap', 'transaction'] as const) {
    for (const [fault, what] of [
      ['the server is killed', async () => clinic.kill()],
      [
        'its session is ended',
        async () => {
          await clinic.query(
            'postgres',
            `select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`,
          );
        },
      ],
    ] as const) {
      it(`has restored by ${method} what it had committed, also when ${fault} before it could say so`, async () => {
        const before = await clinic.live();
        const phase = method === 'swap' ? 'swapping' : 'computing checksums';
        let committing: Promise<void> | null = null;
        const outcome = await outcomeOf(
          clinic.restore({
            method,
            onProgress: ({ step }) => {
              if (!step.startsWith(phase) || committing !== null) return;
              holdCommits();
              committing = untilSeen(clinic, COMMITTING).then(async () => {
                await what();
                await clinic.start();
                await letCommit();
              });
            },
          }),
        );
        expect(committing).not.to.equal(null);
        await committing;
        // the log of operations is what may not have been told: never that nothing was changed
        expect(outcome, String(outcome)).to.equal('succeeded');
        expect(await clinic.contents()).to.equal(clinic.backedUp);
        if (method === 'swap') {
          await clinic.workspace.run(() =>
            undoRestore({ env: 'testing', disconnectUsers: true, consent: { yes: true } }),
          );
          expect(await clinic.contents()).to.equal(before);
        }
        await restored();
      });
    }
  }

  it('and does not come back is no reason to say that nothing was changed', async () => {
    await clinic.live();
    let committing: Promise<void> | null = null;
    const outcome = await outcomeOf(
      clinic.restore({
        method: 'swap',
        onProgress: ({ step }) => {
          if (step !== 'swapping' || committing !== null) return;
          holdCommits();
          committing = untilSeen(clinic, COMMITTING).then(() => clinic.kill());
        },
      }),
    );
    await clinic.start();
    await letCommit();
    if (outcome === 'succeeded') return expect.fail('it succeeded');
    expect(outcome.message).to.include('It cannot be asked whether').and.not.include('was not changed');
    expect(outcome.hint).to.match(/pg_xact_status\('\d+'\)/);
    expect(await clinic.contents()).to.equal(clinic.backedUp);
    await restored();
  });
});
