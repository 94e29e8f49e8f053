import { readDatabaseFacts } from '../../../../database/catalog/database-facts.js';
import { type Check, ok, type RunCheck } from '../check.js';

/** Whether PostgreSQL still gets fixes, and how many of them the server lacks. */
export const checkServerVersion: RunCheck = async (db, { settings, environment }) => {
  const { serverVersion } = await readDatabaseFacts(db);
  return judgeVersion(serverVersion, { now: new Date(), server: settings.server, environment });
};

interface Support {
  /** The day of the last minor release, from https://www.postgresql.org/support/versioning/. */
  readonly endsOn: string;
  /** The newest that was known when this was written: nothing is asked on the internet. All of one day. */
  readonly newestMinor: number;
  /** Numbers that were never released: the tag was there, and something was found in time. */
  readonly skipped?: readonly number[];
}

/** With the minor releases of 2026-08-13. */
const SUPPORT: Readonly<Record<number, Support>> = {
  14: { endsOn: '2026-11-12', newestMinor: 24 },
  15: { endsOn: '2027-11-11', newestMinor: 19 },
  16: { endsOn: '2028-11-09', newestMinor: 15 },
  17: { endsOn: '2029-11-08', newestMinor: 11 },
  18: { endsOn: '2030-11-14', newestMinor: 6, skipped: [5] },
};

/** There are four minor releases a year. */
const A_YEAR_OF_MINORS = 4;
const DAY_MS = 86_400_000;
/** Time to plan an upgrade. */
const NOTICE_DAYS = 180;

/** @param version as the server says it, without the packager's words: `15.18` */
export function judgeVersion(
  version: string,
  {
    now,
    server,
    environment,
  }: { readonly now: Date; readonly server: 'embedded' | 'external'; readonly environment: string },
): Omit<Check, 'name'> {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const support = SUPPORT[major];
  if (support === undefined) return ok(version, `PostgreSQL ${version}.`);
  const { endsOn, newestMinor, skipped = [] } = support;
  const daysLeft = (Date.parse(endsOn) - now.getTime()) / DAY_MS;
  const behind = Math.max(0, newestMinor - minor - skipped.filter((each) => each > minor).length);
  const upgrading = server === 'embedded' ? `manage_db create-backup --env ${environment}` : upgrade(major);
  const sentences = [
    `PostgreSQL ${version}.`,
    ...(behind > 0
      ? [`At least ${behind} minor release${behind === 1 ? '' : 's'} with fixes behind ${major}.${newestMinor}.`]
      : []),
    ...(behind > 0 && server === 'embedded' ? ['Newer ones come with the next version of manage_db.'] : []),
    ...(daysLeft < 0 ? [`PostgreSQL ${major} gets no fixes any more since ${endsOn}.`] : []),
    ...(daysLeft >= 0 && daysLeft < NOTICE_DAYS ? [`PostgreSQL ${major} gets fixes only until ${endsOn}.`] : []),
    ...(daysLeft < NOTICE_DAYS && server === 'embedded' ? [ANEW] : []),
  ];
  const detail = sentences.join(' ');
  if (daysLeft < 0) return { status: 'warning', value: version, detail, fix: upgrading };
  if (behind > 0) {
    return {
      status: behind >= A_YEAR_OF_MINORS ? 'warning' : 'info',
      value: version,
      detail,
      fix: server === 'embedded' ? null : update(major),
    };
  }
  if (daysLeft < NOTICE_DAYS) return { status: 'info', value: version, detail, fix: upgrading };
  return ok(version, detail);
}

function update(major: number): string {
  return `apt-get install --only-upgrade postgresql-${major} (or as your provider does it), then restart the server`;
}

function upgrade(major: number): string {
  return `pg_upgrade to a newer version than ${major}, or as your provider does it`;
}

/** Its data folder belongs to one major version, and pg_upgrade does not come with it. */
const ANEW =
  'Another one comes with a newer manage_db, which does not read these data: back every environment on this server up with the present one, and restore with the newer one.';
