import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redactDeep } from '../../app/config/redaction.js';
import { asManageDbError } from '../../app/services/database-errors.js';
import { packageVersion } from '../../app/services/package-root.js';
import { withWorkFolder } from '../../app/services/work-folder.js';
import { envFlag } from '../env-flag.js';
import type { ActiveEnvironment } from './active-environment.js';
import type { Category } from './categories.js';
import { NotTested, Unexpected } from './expectations.js';
import { type FeatureTest, type Tests, testsOf } from './feature-test.js';
import type { Installation } from './installation.js';
import type { FeatureTestLog } from './log-file.js';
import { type CategoryReport, countOutcomes, type FeatureTestReport, type TestReport } from './report.js';
import { type Finished, type ScratchServer, withScratchServer } from './scratch-server.js';
import { newScratchWorkspace, type ScratchWorkspace } from './scratch-workspace.js';

/** What a run tells while it goes on. */
export interface FeatureTestListener {
  readonly onCategory: (category: Category) => void;
  readonly onTest: (test: TestReport) => void;
}

export interface FeatureTestRun {
  readonly installation: Installation;
  readonly active: ActiveEnvironment;
  readonly categories: readonly Category[];
  readonly keep: boolean;
  /** The environment, where it was given: for the commands of hints. */
  readonly env: string | undefined;
  readonly log: FeatureTestLog;
  readonly signal: AbortSignal;
  readonly listener: FeatureTestListener;
}

/** Milliseconds that one test may take, and then has to stop in order. */
const LONGEST_TEST_MS = 60_000;
const GRACE_MS = 15_000;

/**
 * Tests the categories one after the other. Whatever happens, the scratch databases and their folder are gone afterwards, and
 * the active environment is what it was.
 *
 * @returns what was found so far, too, when it is interrupted: `interrupted` says so
 */
export async function runFeatureTests(run: FeatureTestRun): Promise<FeatureTestReport> {
  const startedAt = new Date();
  const { installation, keep } = run;
  const runner = new Runner(run);
  try {
    if (installation.readOnlyBecause === null && installation.connection !== null) {
      await withScratchServer(installation.connection, async (server) => {
        runner.swept = server.swept;
        try {
          await withWorkFolder(tmpdir(), (folder) => runner.testAll({ server, folder }));
        } finally {
          runner.finished = await server.finish(keep);
        }
      });
    } else await runner.testAll(null);
  } finally {
    run.active.putBack();
  }
  return redactDeep(reportOf(run, runner, startedAt));
}

interface ScratchPlace {
  readonly server: ScratchServer;
  readonly folder: string;
}

/** One run, and what it has found so far. */
class Runner {
  readonly reports: CategoryReport[] = [];
  swept: readonly string[] = [];
  finished: Finished = { databases: [], notDropped: [] };
  /** Why nothing more is tested: a test that cannot be stopped may still be at work. */
  private stuck: string | null = null;

  constructor(private readonly run: FeatureTestRun) {}

  async testAll(place: ScratchPlace | null): Promise<void> {
    for (const category of this.run.categories) {
      if (this.run.signal.aborted) return;
      this.run.listener.onCategory(category);
      this.run.log.write(`== ${category.name}`);
      const started = performance.now();
      const tests: TestReport[] = [];
      await this.testCategory(category, place, (report) => {
        tests.push(report);
        this.run.listener.onTest(report);
      });
      const counts = countOutcomes(tests);
      const durationMs = Math.round(performance.now() - started);
      this.reports.push({ name: category.name, ok: counts.failed === 0, durationMs, counts, tests });
    }
  }

  private async testCategory(category: Category, place: ScratchPlace | null, found: (report: TestReport) => void) {
    const tests = testsOf(category.declare, category.needsClientTools === true);
    const scratch = new LazyWorkspace(category, tests, place, this.run);
    for (const test of tests.tests) {
      if (this.run.signal.aborted) return;
      found(await this.test(test, scratch));
    }
  }

  private async test(test: FeatureTest, scratch: LazyWorkspace): Promise<TestReport> {
    const { name, subject } = test;
    const base = { name, subject, error: null };
    const reason = this.stuck ?? this.whyNot(test) ?? scratch.whyNot(test);
    if (reason !== null) return { ...base, outcome: 'skipped', durationMs: 0, detail: sentence(reason) };
    const started = performance.now();
    const notes: string[] = [];
    const since = () => Math.round(performance.now() - started);
    try {
      await this.withinTime((signal) => this.execute(test, scratch, { signal, note: (text) => notes.push(text) }));
      return this.logged({ ...base, outcome: 'passed', durationMs: since(), detail: notes.join(' ') || null });
    } catch (thrown) {
      if (thrown instanceof NotTested)
        return { ...base, outcome: 'skipped', durationMs: since(), detail: sentence(thrown.message) };
      if (this.run.signal.aborted)
        return { ...base, outcome: 'skipped', durationMs: since(), detail: 'It was interrupted.' };
      const error = errorOf(thrown);
      return this.logged({ ...base, outcome: 'failed', durationMs: since(), detail: notes.join(' ') || null, error });
    }
  }

  private logged(report: TestReport): TestReport {
    const { subject, name, outcome, durationMs, error } = report;
    const why =
      error === null ? '' : `\n${error.code}: ${error.message}${error.hint === null ? '' : `\n→ ${error.hint}`}`;
    this.run.log.write(`${outcome}: ${name} (${subject}, ${durationMs} ms)${why}`);
    return report;
  }

  private async execute(
    test: FeatureTest,
    scratch: LazyWorkspace,
    running: { readonly signal: AbortSignal; readonly note: (text: string) => void },
  ): Promise<void> {
    const { installation, log } = this.run;
    const common = { ...running, log };
    if (test.subject === 'installation')
      return test.run({ ...common, installation, env: installation.environment ?? '' });
    return test.run({ ...common, scratch: await scratch.ready(running.signal) });
  }

  /** Why a test of the installation would only repeat what another category says. */
  private whyNot(test: FeatureTest): string | null {
    const { installation } = this.run;
    if (test.subject !== 'installation' || test.needs === 'nothing') return null;
    if (installation.environment === null)
      return 'it cannot be told which environment is active: see the category environment';
    if (installation.problem?.code === 'UNKNOWN_ENVIRONMENT')
      return `${installation.environment} is no environment of this workspace: see the category environment`;
    if (test.needs === 'environment') return null;
    if (installation.problem !== null)
      return `${installation.environment} has no usable configuration: see the category configuration`;
    if (test.needs === 'configuration') return null;
    const { database } = installation;
    if (database.state === 'missing')
      return `${installation.environment} has no database yet: manage_db initialize-db --env ${installation.environment}`;
    return database.state === 'there' ? null : 'the database cannot be reached: see the category connection';
  }

  private async withinTime(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const late = new AbortController();
    const signal = AbortSignal.any([this.run.signal, late.signal]);
    const timer = setTimeout(() => late.abort(), LONGEST_TEST_MS);
    const working = work(signal);
    try {
      await Promise.race([working, this.untilGivenUp(signal)]);
      if (late.signal.aborted) throw tooSlow(this.run);
    } catch (error) {
      throw late.signal.aborted ? tooSlow(this.run) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** It has a while to end in order. After that nothing else may run: it may still be at work. */
  private untilGivenUp(signal: AbortSignal): Promise<never> {
    return new Promise((_, reject) => {
      const wait = (): void => {
        setTimeout(() => {
          this.stuck = 'a test before it could not be stopped';
          reject(tooSlow(this.run));
        }, GRACE_MS).unref();
      };
      if (signal.aborted) wait();
      else signal.addEventListener('abort', wait, { once: true });
    });
  }
}

/** The scratch workspace of one category, made when its first test wants it. */
class LazyWorkspace {
  private workspace: ScratchWorkspace | null = null;
  private isBroken = false;
  private signal: AbortSignal;

  constructor(
    private readonly category: Category,
    private readonly tests: Tests,
    private readonly place: ScratchPlace | null,
    private readonly run: FeatureTestRun,
  ) {
    this.signal = run.signal;
  }

  whyNot(test: FeatureTest): string | null {
    if (test.subject === 'installation') return null;
    const { readOnlyBecause, toolsProblem } = this.run.installation;
    if (this.place === null) return readOnlyBecause ?? 'there is no server for scratch databases';
    if (test.needsClientTools && toolsProblem !== null)
      return 'the client tools are missing: see the category connection';
    return this.isBroken ? 'what it begins with could not be made: see the test before' : null;
  }

  async ready(signal: AbortSignal): Promise<ScratchWorkspace> {
    this.signal = signal;
    if (this.workspace !== null) return this.workspace;
    if (this.place === null) throw new NotTested('there is no server for scratch databases');
    const { server, folder } = this.place;
    const { log } = this.run;
    try {
      const root = join(folder, this.category.name);
      mkdirSync(root, { mode: 0o700 });
      const workspace = await newScratchWorkspace(server, () => ({ folder: root, log, signal: this.signal }));
      const { prepare } = this.tests;
      if (prepare !== null)
        await workspace.inside(() => prepare({ scratch: workspace, log, signal, note: () => undefined }));
      this.workspace = workspace;
      return workspace;
    } catch (error) {
      this.isBroken = true;
      throw error;
    }
  }
}

function tooSlow({ env }: FeatureTestRun): Unexpected {
  return new Unexpected(
    `It was not done after ${LONGEST_TEST_MS / 1000} s.`,
    `See what the server is busy with: manage_db check-database${envFlag(env)}`,
  );
}

function errorOf(thrown: unknown): TestReport['error'] {
  if (thrown instanceof Unexpected) return { code: 'UNEXPECTED', message: thrown.message, hint: thrown.hint };
  const { code, message, hint } = asManageDbError(thrown);
  return { code, message, hint };
}

function reportOf(
  { installation, keep, log, signal }: FeatureTestRun,
  runner: Runner,
  startedAt: Date,
): FeatureTestReport {
  const finishedAt = new Date();
  const { connection, database } = installation;
  const { databases, notDropped } = runner.finished;
  const { hosts, database: name } = connection ?? {};
  const counts = countOutcomes(runner.reports.flatMap(({ tests }) => tests));
  return {
    version: 1,
    manageDbVersion: packageVersion(),
    startedAt: startedAt.toISOString(),
    finishedAt: finishedAt.toISOString(),
    durationMs: finishedAt.getTime() - startedAt.getTime(),
    workspace: installation.root,
    environment: installation.environment,
    database: name === undefined ? null : { host: hosts?.[0]?.host ?? '', port: hosts?.[0]?.port ?? 0, name },
    serverVersion: database.state === 'there' ? database.serverVersion : null,
    readOnlyBecause: installation.readOnlyBecause,
    ok: counts.failed === 0 && notDropped.length === 0 && !signal.aborted,
    interrupted: signal.aborted,
    counts,
    categories: runner.reports,
    swept: [...runner.swept],
    dropped: keep ? [] : [...databases],
    notDropped: [...notDropped],
    kept: keep ? [...databases] : [],
    log: log.path,
  };
}

function sentence(reason: string): string {
  const text = `${reason.charAt(0).toUpperCase()}${reason.slice(1)}`;
  return text.endsWith('.') ? text : `${text}.`;
}
