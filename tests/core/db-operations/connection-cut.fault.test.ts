import { execFileSync } from 'node:child_process';
import { expect } from 'chai';
import { findClientTools } from '../../../app/services/client-tools.js';
import { type BreakableWay, breakableWay } from '../../support/breakable-way.js';
import { type FaultClinic, faultClinic, outcomeOf } from '../../support/fault-clinic.js';

/** Of one operation, the oldest first: later ones are more of the same. */
const MOST_SESSIONS = 4;

type Operation = 'backup' | 'swap' | 'transaction';

describe('a connection that is lost', () => {
  let clinic: FaultClinic;
  let way: BreakableWay;
  let psql: string;
  const temporary = process.env.TMPDIR;
  before(async () => {
    clinic = await faultClinic();
    way = await breakableWay(clinic.port);
    ({ psql } = await findClientTools({ serverMajor: 15 }));
    const url = clinic.url('clinic').replace(`:${clinic.port}/`, `:${way.port}/`);
    clinic.workspace.write({ '.env.testing': `TESTING_DATABASE_URL='${url}'\n` });
  });
  after(async () => {
    await way.close();
    await clinic.remove();
    if (temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = temporary;
  });

  /** Waits for its answer, as nothing else does in the callback of a progress. */
  const ask = (sql: string): string =>
    execFileSync(psql, ['-XAtqc', sql, clinic.url('postgres')], { encoding: 'utf8' }).trim();
  const run = (operation: Operation, onProgress: (event: { readonly step: string }) => void) =>
    outcomeOf(
      operation === 'backup'
        ? clinic.backup({ prove: true, onProgress })
        : clinic.restore({ method: operation, onProgress }),
    );
  /** Looks at what there is, and that nobody was told something else. */
  const check = async (operation: Operation, before: string, outcome: Awaited<ReturnType<typeof run>>) => {
    const now = await clinic.contents();
    if (outcome === 'succeeded') {
      expect(now).to.equal(operation === 'backup' ? before : clinic.backedUp);
    } else {
      expect(outcome.exitCode).to.equal(1);
      const unchanged = operation === 'backup' ? 'No backup was made, and nothing of it' : 'was not changed.';
      expect(outcome.message).to.include(unchanged);
      expect(now, outcome.message).to.equal(before);
    }
    await clinic.backup();
    await clinic.nothingIsLeft();
    return outcome === 'succeeded' ? 'succeeded' : 'failed';
  };

  for (const [operation, phase] of [
    ['backup', 'dumping public.patients'],
    ['backup', 'restoring public.patients'],
    ['swap', 'creating a scratch database'],
    ['swap', 'comparing row counts'],
    ['swap', 'swapping'],
    ['transaction', 'dumping public.patients'],
    ['transaction', 'computing checksums'],
  ] as const) {
    it(`altogether while a ${operation} is ${phase} changes nothing that nobody is told of`, async () => {
      const before = await clinic.live();
      let isCut = false;
      const through = way.count();
      const outcome = await run(operation, ({ step }) => {
        if (!step.startsWith(phase) || isCut) return;
        isCut = true;
        way.cut();
      });
      expect([isCut, way.count() > through]).to.deep.equal([true, true]);
      expect(await check(operation, before, outcome)).to.equal('failed');
    });
  }

  for (const [operation, phase] of [
    ['backup', 'dumping public.patients'],
    ['swap', 'restoring public.patients'],
    ['swap', 'swapping'],
    ['transaction', 'computing checksums'],
  ] as const) {
    it(`in each single session while a ${operation} is ${phase} changes nothing that nobody is told of`, async () => {
      const ended = new Set<string>();
      const outcomes: string[] = [];
      for (let which = 0, sessions = 1; which < Math.min(sessions, MOST_SESSIONS); which++) {
        const before = await clinic.live();
        let isOver = false;
        let isEnded = false;
        const outcome = await run(operation, ({ step }) => {
          if (!step.startsWith(phase) || isOver) return;
          isOver = true;
          // in one statement: those of the tools end by themselves as well
          const found = ask(`select sessions, pg_terminate_backend(pid, 5000), application_name, datname from (
            select *, count(*) over () as sessions from pg_stat_activity
            where application_name like 'manage_db%' and pid <> pg_backend_pid() order by backend_start
            offset ${which} limit 1) one`);
          const [count = '', wasEnded, application = '', database = ''] = found.split('|');
          sessions = Number(count);
          isEnded = wasEnded === 't';
          if (isEnded) ended.add(`${application.replace(/\d{8}T.*/, '')} ${database}`);
        });
        expect(isOver).to.equal(true);
        const checked = await check(operation, before, outcome);
        if (isEnded) outcomes.push(checked);
      }
      expect(outcomes).to.include('failed');
      expect(ended.size).to.be.at.least(1);
    });
  }
});
