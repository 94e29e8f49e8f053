import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { rememberActiveEnvironment } from '../../scripts/feature-tests/active-environment.js';
import type { Category } from '../../scripts/feature-tests/categories.js';
import { cleanEnvironment } from '../../scripts/feature-tests/clean-environment.js';
import type { InstallationRunning } from '../../scripts/feature-tests/feature-test.js';
import { type Installation, lookAtInstallation } from '../../scripts/feature-tests/installation.js';
import { junitXml } from '../../scripts/feature-tests/junit.js';
import { newLog } from '../../scripts/feature-tests/log-file.js';
import { type FeatureTestReport, reportSchema } from '../../scripts/feature-tests/report.js';
import { runFeatureTests } from '../../scripts/feature-tests/run-feature-tests.js';
import { withScratchServer } from '../../scripts/feature-tests/scratch-server.js';
import { type TimeLimits, USUAL_LIMITS } from '../../scripts/feature-tests/time-limit.js';
import { openClient } from '../database/open-client.js';
import { dropDatabase, onServer, withClient } from '../support/scratch-database.js';
import { dropLogins, scratchLogin } from '../support/scratch-login.js';
import { scratchWorkspace } from '../support/scratch-workspace.js';
import { settingsOf } from '../support/settings-of.js';
import { testUrl } from '../support/test-server.js';
import { withVariables } from '../support/variables.js';

describe('the scratch databases of the feature tests', () => {
  const left = [1, 2, 3, 4].map((count) => `manage_db_feature_0bad0bad_${count}_testing`);
  afterEach(async () => {
    for (const name of left) await dropDatabase(name);
  });

  it('are swept by one of several runs that begin at the same time, and only that one says so', async () => {
    const settings = await settingsOf(testUrl('postgres'));
    for (const name of left) await onServer((server) => server.query(`create database ${name}`));
    const runs = [1, 2, 3].map(() => withScratchServer(settings, async ({ swept }) => swept));
    expect((await Promise.all(runs)).flat().sort()).to.deep.equal(left);
  });

  it('are no leftovers while their run goes on, and are when its session is gone', async () => {
    const settings = await settingsOf(testUrl('postgres'));
    const [name, others] = await withScratchServer(settings, async (server) => {
      const made = server.newDatabase('testing').name;
      await onServer((client) => client.query(`create database ${made}`));
      return [made, await withScratchServer(settings, async ({ swept }) => swept)] as const;
    });
    expect(others).not.to.include(name);
    expect(await withScratchServer(settings, async ({ swept }) => swept)).to.deep.equal([name]);
  });
});

/** Runs the tests of one category, on an environment without a database; `change` is made to what was found of it. */
async function runCategory(
  declare: Category['declare'],
  {
    signal = new AbortController().signal,
    limits = USUAL_LIMITS,
    change = {},
  }: {
    readonly signal?: AbortSignal;
    readonly limits?: TimeLimits;
    readonly change?: Partial<Installation>;
  },
): Promise<FeatureTestReport & { readonly logged: string }> {
  const workspace = scratchWorkspace();
  try {
    return await workspace.run(async () => {
      const report = await runFeatureTests({
        installation: { ...(await lookAtInstallation(workspace.root, 'staging')), ...change },
        active: rememberActiveEnvironment(workspace.root),
        categories: [{ name: 'category', summary: '', declare }],
        keep: false,
        env: 'staging',
        log: newLog(workspace.root),
        signal,
        listener: { onCategory: () => undefined, onTest: () => undefined },
        limits,
      });
      return { ...reportSchema.parse(report), logged: readFileSync(report.log, 'utf8') };
    });
  } finally {
    await workspace.remove();
  }
}

const outcomes = ({ categories }: FeatureTestReport) =>
  categories.flatMap(({ tests }) => tests.map(({ name, outcome, detail, error }) => [name, outcome, detail, error]));

describe('a scratch database of the feature tests with a session in it that the login may not end', () => {
  it('is dropped as soon as that has ended, as an autovacuum worker does', async () => {
    const login = await scratchLogin('tester', 'createdb');
    try {
      const settings = await settingsOf(testUrl('postgres', login));
      const [made, finished] = await withScratchServer(settings, async (server) => {
        const { name } = server.newDatabase('testing');
        await withClient(testUrl('postgres', login), (client) => client.query(`create database ${name}`));
        const superuser = await openClient(testUrl(name));
        setTimeout(() => superuser.end(), 700);
        return [name, await server.finish(false)] as const;
      });
      expect(finished).to.deep.equal({ databases: [made], notDropped: [] });
    } finally {
      await dropLogins(login);
    }
  });
});

describe('feature tests whose server has gone', () => {
  it("look at what is the user's own, and say in each category why they made nothing", async () => {
    const connection = { ...(await settingsOf('postgresql://app@127.0.0.1:1/clinic')) };
    const report = await runCategory(
      (suite) => {
        suite.installation('yours', 'nothing', async ({ note }) => note('Fine.'));
        suite.library('a feature', () => expect.fail('it should not have been run'));
        suite.cli('another', () => expect.fail('it should not have been run'));
      },
      { change: { connection, readOnlyBecause: null } },
    );
    const [yours, feature, another] = outcomes(report);
    expect([yours, another]).to.deep.equal([
      ['yours', 'passed', 'Fine.', null],
      ['another', 'skipped', 'What it begins with could not be made: see the test before.', null],
    ]);
    expect(feature?.slice(0, 3)).to.deep.equal(['a feature', 'failed', null]);
    expect(feature?.[3]).to.include({ code: 'CONNECTION_REFUSED' });
    expect([report.ok, report.notDropped]).to.deep.equal([false, []]);
  });

  it('say what may be left there, and still what they have found', async () => {
    const login = await scratchLogin('leaves', 'createdb');
    try {
      const connection = await settingsOf(testUrl('postgres', login));
      const report = await runCategory(
        (suite) =>
          suite.installation('a feature', 'nothing', async () => {
            await onServer((server) => server.query(`alter role ${login.user} nologin`));
          }),
        { change: { connection, readOnlyBecause: null } },
      );
      expect(outcomes(report)).to.deep.equal([['a feature', 'passed', null, null]]);
      expect([report.ok, report.dropped]).to.deep.equal([false, []]);
      expect(report.notDropped).to.have.lengthOf(1);
      expect(report.notDropped[0]?.name).to.match(/^manage_db_feature_[0-9a-f]{8}_\*$/);
      expect(report.notDropped[0]?.reason).to.contain('is not permitted to log in');
      expect(junitXml(report)).to.contain('<testsuite name="cleaning-up"');
    } finally {
      await dropLogins(login);
    }
  });
});

describe('a feature test that takes too long', () => {
  const limits = { longestMs: 1_500, graceMs: 100 };

  const run = async (
    tests: Readonly<Record<string, (running: InstallationRunning) => Promise<void>>>,
    signal = new AbortController().signal,
  ): Promise<FeatureTestReport> => {
    const declare: Category['declare'] = (suite) => {
      for (const [name, work] of Object.entries(tests)) suite.installation(name, 'nothing', work);
    };
    const report = await runCategory(declare, { signal, limits });
    log = report.logged;
    return report;
  };
  let log = '';
  const untilStopped = ({ signal }: InstallationRunning) =>
    new Promise<void>((resolve) =>
      signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
    );
  const tooSlow = (message: string) => ({
    code: 'UNEXPECTED',
    message,
    hint: 'See what the server is busy with: manage_db check-database --env staging',
  });

  it('is stopped, has failed, and keeps nobody from being tested', async () => {
    const report = await run({
      slow: untilStopped,
      // longer than the while that the one before had to end in
      patient: () => sleep(70),
      'patient again': () => sleep(70),
      last: async ({ note }) => note('Fine.'),
    });
    expect(outcomes(report)).to.deep.equal([
      ['slow', 'failed', null, tooSlow('It was not done after 1.5 s.')],
      ['patient', 'passed', null, null],
      ['patient again', 'passed', null, null],
      ['last', 'passed', 'Fine.', null],
    ]);
    expect([report.ok, report.interrupted, report.counts]).to.deep.equal([
      false,
      false,
      { passed: 3, failed: 1, skipped: 0 },
    ]);
    expect(log).to.match(/failed: slow \(installation, \d+ ms\)\nUNEXPECTED: It was not done after 1\.5 s\./);
    expect(junitXml(report)).to.contain('<failure type="UNEXPECTED" message="It was not done after 1.5 s.">');
  });

  it('is given up when it does not stop, and nothing is tested beside it', async () => {
    let end: () => void = () => undefined;
    const report = await run({
      stubborn: () =>
        new Promise((resolve) => {
          end = resolve;
        }),
      next: () => expect.fail('it should not have been run'),
    });
    end();
    const message = 'It was not done after 1.5 s, and could not be stopped: nothing more was tested.';
    expect(outcomes(report)).to.deep.equal([
      ['stubborn', 'failed', null, tooSlow(message)],
      ['next', 'skipped', 'A test before it could not be stopped.', null],
    ]);
  });

  it('is no failure when somebody has stopped it', async () => {
    const interruption = new AbortController();
    const report = await run(
      {
        slow: async (running) => {
          interruption.abort();
          await untilStopped(running);
          throw new Error('It has been stopped.');
        },
        next: () => expect.fail('it should not have been run'),
      },
      interruption.signal,
    );
    expect(outcomes(report)).to.deep.equal([['slow', 'skipped', 'It was interrupted.', null]]);
    expect([report.ok, report.interrupted]).to.deep.equal([false, true]);
  });
});

describe('the variables of the feature tests', () => {
  it('are what programs need to start, and nothing that says which database is meant', async () => {
    const harmless = { LD_LIBRARY_PATH: '/opt/pg/lib', LC_TIME: 'C', PG_BIN_DIR: '/opt/pg/bin' };
    const meant = { PGOPTIONS: '-c x=y', PRODUCTION_DATABASE_URL: 'postgresql://h/x', MANAGE_DB_ENV: 'production' };
    const clean = await withVariables({ ...harmless, ...meant }, () => cleanEnvironment());
    expect(clean).to.include({ ...harmless, PATH: process.env.PATH });
    expect(clean).not.to.have.any.keys(...Object.keys(meant));
  });
});

describe('the logs of the feature tests', () => {
  it('are kept of the twenty newest runs; nothing else in their folder is touched', async () => {
    const workspace = scratchWorkspace();
    try {
      const folder = join(workspace.root, '.manage_db', 'logs');
      mkdirSync(folder);
      const old = Array.from(
        { length: 25 },
        (_, day) => `test-db-features-202501${String(day + 1).padStart(2, '0')}T120000Z-${9000 - day}.log`,
      );
      const foreign = ['another.log', 'test-db-features-notes.log', 'test-db-features-20200101T000000Z-1.log.gz'];
      for (const name of [...old, ...foreign]) writeFileSync(join(folder, name), '');
      const { path } = newLog(workspace.root);
      const kept = readdirSync(folder).filter((name) => !foreign.includes(name));
      expect(kept.sort()).to.deep.equal([...old.slice(6), path.slice(folder.length + 1)]);
      expect(foreign.every((name) => existsSync(join(folder, name)))).to.equal(true);
    } finally {
      await workspace.remove();
    }
  });
});
