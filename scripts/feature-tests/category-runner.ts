import { asManageDbError } from '../../app/services/database-errors.js';
import { envFlag } from '../env-flag.js';
import type { Category } from './categories.js';
import { CategoryWorkspace, type NoScratchPlace, type ScratchPlace } from './category-workspace.js';
import { NotTested, Unexpected } from './expectations.js';
import { type FeatureTest, testsOf } from './feature-test.js';
import type { Installation } from './installation.js';
import type { FeatureTestLog } from './log-file.js';
import { type CategoryReport, countOutcomes, type TestReport } from './report.js';
import { OutOfTime, type TimeLimits, withinTime } from './time-limit.js';
import { whySkipped } from './why-skipped.js';

/** What a run tells while it goes on. */
export interface FeatureTestListener {
  readonly onCategory: (category: Category) => void;
  readonly onTest: (test: TestReport) => void;
}

export interface CategoryRun {
  readonly installation: Installation;
  readonly categories: readonly Category[];
  /** The environment, where it was given: for the commands of hints. */
  readonly env: string | undefined;
  readonly log: FeatureTestLog;
  readonly signal: AbortSignal;
  readonly listener: FeatureTestListener;
  readonly limits: TimeLimits;
}

/** Tests categories one after the other, and keeps what it has found. */
export class CategoryRunner {
  readonly reports: CategoryReport[] = [];
  /** Why nothing more is tested: a test that cannot be stopped may still be at work. */
  private stuck: string | null = null;

  constructor(private readonly run: CategoryRun) {}

  /** @param place `null`: nothing may be created */
  async testAll(place: ScratchPlace | NoScratchPlace | null): Promise<void> {
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

  private async testCategory(
    category: Category,
    place: ScratchPlace | NoScratchPlace | null,
    found: (report: TestReport) => void,
  ) {
    const { tests, prepare } = testsOf(category.declare, category.needsClientTools === true);
    const { log, signal } = this.run;
    const scratch = new CategoryWorkspace({ category, prepare, place, log, signal });
    for (const test of tests) {
      if (signal.aborted) return;
      found(await this.test(test, scratch));
    }
  }

  private async test(test: FeatureTest, scratch: CategoryWorkspace): Promise<TestReport> {
    const { name, subject } = test;
    const base = { name, subject, error: null };
    const { installation, limits, signal } = this.run;
    const reason = this.stuck ?? whySkipped(test, installation, scratch);
    if (reason !== null) return { ...base, outcome: 'skipped', durationMs: 0, detail: sentence(reason) };
    const started = performance.now();
    const notes: string[] = [];
    const since = () => Math.round(performance.now() - started);
    const note = (text: string) => notes.push(text);
    try {
      await withinTime((within) => this.execute(test, scratch, { signal: within, note }), { limits, signal });
      return this.logged({ ...base, outcome: 'passed', durationMs: since(), detail: notes.join(' ') || null });
    } catch (thrown) {
      if (thrown instanceof OutOfTime && !thrown.isStopped) this.stuck = 'a test before it could not be stopped';
      if (thrown instanceof NotTested)
        return { ...base, outcome: 'skipped', durationMs: since(), detail: sentence(thrown.message) };
      if (signal.aborted) return { ...base, outcome: 'skipped', durationMs: since(), detail: 'It was interrupted.' };
      const error = this.errorOf(thrown);
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
    scratch: CategoryWorkspace,
    running: { readonly signal: AbortSignal; readonly note: (text: string) => void },
  ): Promise<void> {
    const { installation, log } = this.run;
    const common = { ...running, log };
    if (test.subject === 'installation')
      return test.run({ ...common, installation, env: installation.environment ?? '' });
    return test.run({ ...common, scratch: await scratch.ready(running.signal) });
  }

  private errorOf(thrown: unknown): TestReport['error'] {
    const found = thrown instanceof OutOfTime ? this.tooSlow(thrown) : thrown;
    if (found instanceof Unexpected) return { code: 'UNEXPECTED', message: found.message, hint: found.hint };
    const { code, message, hint } = asManageDbError(found);
    return { code, message, hint };
  }

  private tooSlow({ isStopped }: OutOfTime): Unexpected {
    const { env, limits } = this.run;
    return new Unexpected(
      `It was not done after ${limits.longestMs / 1000} s${isStopped ? '' : ', and could not be stopped: nothing more was tested'}.`,
      `See what the server is busy with: manage_db check-database${envFlag(env)}`,
    );
  }
}

function sentence(reason: string): string {
  const text = `${reason.charAt(0).toUpperCase()}${reason.slice(1)}`;
  return text.endsWith('.') ? text : `${text}.`;
}
