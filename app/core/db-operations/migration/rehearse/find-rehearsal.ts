import type { Workspace } from '../../../../config/workspace.js';
import { ManageDbError } from '../../../errors.js';
import { versionKey } from '../../../migration-versions.js';
import type { MigrationStep } from '../runner.js';
import { fingerprintOf, type LiveHistory } from './live-database.js';
import type { RehearsalReport } from './report.js';
import { type ReportOnDisk, readRehearsals } from './report-files.js';

export interface WantedRehearsal {
  readonly environment: string;
  /** The database as it is now. */
  readonly live: LiveHistory;
  /** What is about to be applied, in this order. */
  readonly steps: readonly MigrationStep[];
  /** Only the report with this checksum. */
  readonly checksum?: string | undefined;
  /** Milliseconds that a report is good for; 7 days by default. */
  readonly maxAgeMs?: number | undefined;
}

export const LONGEST_AGE_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * The newest report in the workspace that shows that exactly these migrations, as their files are now, could be applied to
 * this database as it is now, and rolled back cleanly; `null`: there is none. A run that has broken off has left the rest of what was
 * rehearsed, which counts as well: the database is then as the rehearsal has foreseen it.
 *
 * Its checksum shows that the report is as it was written, by accident or by an editor. It is no signature: who may write into the
 * workspace can also compute another one. Who has to be sure demands the checksum that the rehearsal has printed.
 *
 * @throws ManageDbError `UNREADABLE_FILE`
 * @example findRehearsal(await getWorkspace(), { environment, live, steps })
 */
export function findRehearsal(workspace: Workspace, wanted: WantedRehearsal): RehearsalReport | null {
  return readRehearsals(workspace).find((one) => obstacleOf(one, wanted) === null)?.report ?? null;
}

/**
 * {@link findRehearsal} where there has to be one.
 *
 * @throws ManageDbError `REHEARSAL_REQUIRED`, saying what is wrong with the newest one; `UNREADABLE_FILE`
 */
export function requireRehearsal(workspace: Workspace, wanted: WantedRehearsal): RehearsalReport {
  const found = findRehearsal(workspace, wanted);
  if (found !== null) return found;
  const { environment, checksum, steps } = wanted;
  const last = steps.at(-1)?.migration.version;
  const reports = readRehearsals(workspace).filter(({ report }) =>
    checksum === undefined ? report.environment === environment : report.checksum === checksum,
  );
  const [newest] = reports;
  const why =
    newest === undefined
      ? checksum === undefined
        ? 'there is none'
        : `none has the checksum ${checksum}`
      : `of ${newest.report.id}, the newest one, ${obstacleOf(newest, wanted)}`;
  throw new ManageDbError(
    'REHEARSAL_REQUIRED',
    `${environment} demands a rehearsal of what is to be applied, and ${why}. Nothing was applied.`,
    {
      hint: `Rehearse first: manage_db apply-db-migration --env ${environment} --rehearse${last === undefined ? '' : ` --to ${last}`}`,
      details: { environment, report: newest?.path ?? null },
    },
  );
}

/** What keeps a report from standing for what is wanted, after the words: of the report. */
function obstacleOf({ report, isIntact }: ReportOnDisk, wanted: WantedRehearsal): string | null {
  const { environment, live, steps, checksum, maxAgeMs = LONGEST_AGE_MS } = wanted;
  if (!isIntact) return 'the file was changed after it was written';
  if (checksum !== undefined && report.checksum !== checksum) return `the checksum is ${report.checksum}`;
  if (report.environment !== environment) return `the environment is ${report.environment}`;
  const split = Math.max(0, report.migrations.length - steps.length);
  if (report.fingerprint !== fingerprintBefore(live, report.migrations.slice(0, split)))
    return 'the database is not the one that is there now, or other migrations were applied in it';
  const rest = report.migrations.slice(split);
  const rehearsed = JSON.stringify(rest.map(({ version, checksum: of }) => [version, of]));
  const pending = JSON.stringify(steps.map(({ migration }) => [migration.version, migration.checksum]));
  if (rehearsed !== pending)
    return 'the migrations are not those that are to be applied now, or their files have changed';
  if (report.outcome !== 'clean') return `the outcome is ${report.outcome}`;
  const age = Date.now() - Date.parse(report.rehearsedAt);
  if (age > maxAgeMs) return `the time, ${report.rehearsedAt}, is too long ago`;
  // a clock that was set back a little is no lie
  return age < -CLOCK_MS ? `the time, ${report.rehearsedAt}, is yet to come` : null;
}

/** Of the database before `done` was applied, if it was. */
function fingerprintBefore(live: LiveHistory, done: readonly Rehearsed[]): string {
  const checksums = new Map(done.map(({ version, checksum }) => [versionKey(version), checksum]));
  const applied = live.applied.filter(({ version, checksum }) => checksums.get(versionKey(version)) !== checksum);
  const isDone = applied.length + done.length === live.applied.length;
  return fingerprintOf(isDone ? { ...live, applied } : live);
}

type Rehearsed = Pick<RehearsalReport['migrations'][number], 'version' | 'checksum'>;

const CLOCK_MS = 60_000;
