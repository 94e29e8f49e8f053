import { tmpdir } from 'node:os';
import { redactDeep } from '../../app/config/redaction.js';
import { packageVersion } from '../../app/services/package-root.js';
import { withWorkFolder } from '../../app/services/work-folder.js';
import type { ActiveEnvironment } from './active-environment.js';
import { type CategoryRun, CategoryRunner } from './category-runner.js';
import { type CategoryReport, countOutcomes, type FeatureTestReport } from './report.js';
import { type Finished, withScratchServer } from './scratch-server.js';
import { type TimeLimits, USUAL_LIMITS } from './time-limit.js';

export interface FeatureTestRun extends Omit<CategoryRun, 'limits'> {
  readonly active: ActiveEnvironment;
  readonly keep: boolean;
  readonly limits?: TimeLimits;
}

/**
 * Tests the categories one after the other. Whatever happens, the scratch databases and their folder are gone afterwards, and
 * the active environment is what it was.
 *
 * @returns what was found so far, too, when it is interrupted: `interrupted` says so
 */
export async function runFeatureTests(run: FeatureTestRun): Promise<FeatureTestReport> {
  const startedAt = new Date();
  const { limits = USUAL_LIMITS } = run;
  const runner = new CategoryRunner({ ...run, limits });
  try {
    const cleaned = await testOnServer(run, runner);
    return redactDeep(reportOf(run, { categories: runner.reports, startedAt, ...cleaned }));
  } finally {
    run.active.putBack();
  }
}

/** Where there is no place for scratch databases after all, what is the user's own is still looked at. */
async function testOnServer({ installation, keep }: FeatureTestRun, runner: CategoryRunner): Promise<Cleaned> {
  const { readOnlyBecause, connection } = installation;
  let cleaned: Cleaned = { swept: [], finished: { databases: [], notDropped: [] } };
  if (readOnlyBecause !== null || connection === null) {
    await runner.testAll(null);
    return cleaned;
  }
  let hasBegun = false;
  try {
    await withScratchServer(connection, async (server) => {
      try {
        await withWorkFolder(tmpdir(), (folder) => {
          hasBegun = true;
          return runner.testAll({ server, folder });
        });
      } finally {
        cleaned = { swept: server.swept, finished: await server.finish(keep) };
      }
    });
  } catch (error) {
    if (hasBegun) throw error;
    await runner.testAll({ problem: error });
  }
  return cleaned;
}

interface Cleaned {
  readonly swept: readonly string[];
  readonly finished: Finished;
}

interface Found extends Cleaned {
  readonly categories: readonly CategoryReport[];
  readonly startedAt: Date;
}

function reportOf(
  { installation, keep, log, signal }: FeatureTestRun,
  { categories, swept, finished, startedAt }: Found,
): FeatureTestReport {
  const finishedAt = new Date();
  const { connection, database } = installation;
  const { databases, notDropped } = finished;
  const { hosts, database: name } = connection ?? {};
  const counts = countOutcomes(categories.flatMap(({ tests }) => tests));
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
    categories: [...categories],
    swept: [...swept],
    dropped: keep ? [] : [...databases],
    notDropped: [...notDropped],
    kept: keep ? [...databases] : [],
    log: log.path,
  };
}
