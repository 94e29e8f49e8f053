import { execFileSync } from 'node:child_process';
import { rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { type FaultClinic, faultClinic, outcomeOf } from '../../support/fault-clinic.js';
import { canMount } from '../../support/tmpfs.js';

/** What the cluster, its WAL, the live database and a scratch one need. */
const DISK_MB = 260;

describe('a server whose disk is full', () => {
  const isMounted = canMount();
  let clinic: FaultClinic;
  const temporary = process.env.TMPDIR;
  before(async () => {
    clinic = await faultClinic(isMounted ? { tmpfsMb: DISK_MB } : {});
    await clinic.query('postgres', `alter system set max_wal_size = '48MB'`);
    await clinic.query('postgres', `alter system set min_wal_size = '32MB'`);
    await clinic.query('postgres', 'select pg_reload_conf()');
  });
  after(async () => {
    await clinic.remove();
    if (temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = temporary;
  });

  /**
   * Leaves `freeMb` on the server's disk. Where nothing can be mounted, no file of the server may grow larger than that:
   * for the server that is the same, an error in the middle of writing.
   */
  const fillUp = (freeMb: number): { readonly empty: () => void } => {
    if (!isMounted) {
      // as the server's own account: another process may be limited by nobody else
      const { uid, gid } = statSync(clinic.dataDirectory);
      const limit = (bytes: string) =>
        execFileSync('prlimit', ['--pid', String(clinic.pid()), `--fsize=${bytes}`], { uid, gid, cwd: '/' });
      limit(`${freeMb * 500_000}:`);
      return { empty: () => limit('unlimited:') };
    }
    const disk = dirname(clinic.dataDirectory);
    const filler = join(disk, 'filler');
    const { bavail, bsize } = statfsSync(disk);
    try {
      writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - freeMb * 1024 * 1024), 1));
    } catch (error) {
      // the server was faster
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
    return { empty: () => rmSync(filler) };
  };
  const restored = async () => {
    await clinic.restore();
    expect(await clinic.contents()).to.equal(clinic.backedUp);
    await clinic.nothingIsLeft();
  };

  // what is written again has no need of all that WAL; what one test has broken is not the next one's
  beforeEach(async () => {
    await clinic.start();
    await clinic.query('postgres', 'checkpoint');
  });

  /** Fills it up once, at the first progress of that name. */
  const fullAt = (phase: string, freeMb: number) => {
    let full: ReturnType<typeof fillUp> | null = null;
    return {
      onProgress: ({ step }: { readonly step: string }) => {
        if (full === null && step.startsWith(phase)) full = fillUp(freeMb);
      },
      empty: (outcome: unknown) => {
        expect(full, `it never came to ${phase}: ${String(outcome)}`).not.to.equal(null);
        full?.empty();
      },
    };
  };

  for (const [method, phase, freeMb] of [
    ['swap', 'creating a scratch database', 3],
    ['swap', 'restoring public.', 1],
    ['transaction', 'computing checksums', 1],
  ] as const) {
    it(`since ${phase} is no place for a restore by ${method}, and the database is as it was`, async () => {
      const before = await clinic.live();
      const full = fullAt(phase, freeMb);
      const outcome = await outcomeOf(clinic.restore({ method, onProgress: full.onProgress }));
      full.empty(outcome);
      await clinic.start();
      const now = await clinic.contents();
      if (outcome === 'succeeded') return expect.fail('it succeeded');
      expect(outcome.exitCode, outcome.message).to.equal(1);
      expect(outcome.message).to.match(/No space left on device|File too large|connection|terminat/);
      // a server that stops for want of WAL may have done so after the commit
      if (method === 'transaction' && outcome.message.includes('clinic is restored')) {
        expect(now).to.equal(clinic.backedUp);
      } else {
        expect(outcome.message).to.include(`clinic on 127.0.0.1:${clinic.port} was not changed.`);
        expect(now).to.equal(before);
      }
      await restored();
    });
  }

  it('is seen before anything is created where it is the disk of this machine', async function () {
    if (!isMounted) {
      process.stdout.write('      skipped: only root can mount a disk of its own\n');
      return this.skip();
    }
    const before = await clinic.live();
    const full = fillUp(3);
    try {
      const outcome = await outcomeOf(clinic.restore());
      if (outcome === 'succeeded') return expect.fail('it succeeded');
      expect(outcome.exitCode).not.to.equal(0);
      expect(outcome.message)
        .to.match(/\d+.*MB/)
        .and.include('was not changed.');
      expect(await clinic.contents()).to.equal(before);
      await clinic.nothingIsLeft();
    } finally {
      full.empty();
    }
  });

  it('for a proof is the server’s fault, not the backup’s, and no backup is left', async () => {
    const before = await clinic.live();
    const full = fillUp(3);
    try {
      const outcome = await outcomeOf(clinic.backup({ prove: true }));
      if (outcome === 'succeeded') return expect.fail('it succeeded');
      expect(outcome.message).to.include('No backup was made, and nothing of it was left behind.');
      expect(outcome.code).not.to.equal('BACKUP_INVALID');
    } finally {
      full.empty();
    }
    // without room for its WAL it has stopped itself
    await clinic.start();
    expect(await clinic.contents()).to.equal(before);
    await restored();
  });

  it('for its WAL as well stops, and goes on with one database or the other', async () => {
    const before = await clinic.live();
    const full = fullAt('computing checksums', 0.2);
    let writing: Promise<unknown> = Promise.resolve('never begun');
    let isBegun = false;
    const outcome = await outcomeOf(
      clinic.restore({
        method: 'transaction',
        onProgress: (event) => {
          full.onProgress(event);
          if (!event.step.startsWith('computing checksums') || isBegun) return;
          isBegun = true;
          writing = writeMuchWal();
        },
      }),
    );
    const ended = await writing;
    full.empty(outcome);
    // otherwise there was room for it
    expect(ended).to.be.an('error');
    await clinic.start();
    const now = await clinic.contents();
    if (outcome === 'succeeded') {
      expect(now).to.equal(clinic.backedUp);
    } else {
      expect(outcome.exitCode).to.equal(1);
      expect(outcome.message).to.match(/was not changed\.|clinic is restored|It cannot be asked/);
      if (outcome.message.includes('was not changed')) expect(now).to.equal(before);
    }
    expect([before, clinic.backedUp]).to.include(now);
    await restored();
  });

  /** One record of the WAL that is larger than the disk; resolves with what it fails with. */
  const writeMuchWal = (): Promise<unknown> =>
    clinic.query('postgres', `select pg_logical_emit_message(false, 'filler', repeat('x', ${DISK_MB} * 1000000))`).then(
      () => null,
      (error: unknown) => error,
    );
});
