import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { rememberActiveEnvironment } from '../../scripts/feature-tests/active-environment.js';
import type { Category } from '../../scripts/feature-tests/categories.js';
import type { InstallationRunning } from '../../scripts/feature-tests/feature-test.js';
import { lookAtInstallation } from '../../scripts/feature-tests/installation.js';
import { junitXml } from '../../scripts/feature-tests/junit.js';
import { newLog } from '../../scripts/feature-tests/log-file.js';
import { type FeatureTestReport, reportSchema } from '../../scripts/feature-tests/report.js';
import { runFeatureTests } from '../../scripts/feature-tests/run-feature-tests.js';
import { withScratchServer } from '../../scripts/feature-tests/scratch-server.js';
import { dropDatabase, onServer } from '../support/scratch-database.js';
import { scratchWorkspace } from '../support/scratch-workspace.js';
import { settingsOf } from '../support/settings-of.js';
import { testUrl } from '../support/test-server.js';

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

describe('a feature test that takes too long', () => {
  const limits = { longestMs: 1_500, graceMs: 100 };

  /** Runs these as the tests of one category, on an environment without a database. */
  async function run(
    tests: Readonly<Record<string, (running: InstallationRunning) => Promise<void>>>,
    signal = new AbortController().signal,
  ): Promise<FeatureTestReport> {
    const workspace = scratchWorkspace();
    try {
      const category: Category = {
        name: 'slow',
        summary: '',
        declare: (suite) => {
          for (const [name, work] of Object.entries(tests)) suite.installation(name, 'nothing', work);
        },
      };
      return await workspace.run(async () =>
        runFeatureTests({
          installation: await lookAtInstallation(workspace.root, 'staging'),
          active: rememberActiveEnvironment(workspace.root),
          categories: [category],
          keep: false,
          env: 'staging',
          log: newLog(workspace.root),
          signal,
          listener: { onCategory: () => undefined, onTest: () => undefined },
          limits,
        }).then((report) => {
          log = readFileSync(report.log, 'utf8');
          return reportSchema.parse(report);
        }),
      );
    } finally {
      await workspace.remove();
    }
  }
  let log = '';
  const untilStopped = ({ signal }: InstallationRunning) =>
    new Promise<void>((resolve) =>
      signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true }),
    );
  const outcomes = ({ categories }: FeatureTestReport) =>
    categories.flatMap(({ tests }) => tests.map(({ name, outcome, detail, error }) => [name, outcome, detail, error]));
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
