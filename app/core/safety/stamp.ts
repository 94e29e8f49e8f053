/** What a database says that it is, and whether that can be believed. Pure: nothing here asks a database. */
import type { Ancestor, Stamp } from '../../database/records/identity.js';

export type { Ancestor, Stamp } from '../../database/records/identity.js';

export type StampState = 'trusted' | 'unstamped' | 'copy' | 'mismatch' | 'upgraded' | 'missing';

export interface StampJudgement {
  readonly state: StampState;
  /** A sentence about why. */
  readonly because: string;
}

/** What was found where the stamp lies; `null`: there is no database. */
export interface ObservedDatabase {
  readonly systemIdentifier: string;
  readonly databaseOid: number;
  readonly database: string;
  readonly host: string;
  readonly port: number;
  /** There is a stamp, perhaps, and this login may not read it. */
  readonly hasHiddenRecords?: boolean;
}

export interface Expected {
  readonly environment: string;
  /** Of the environment's settings; where they name none, the stamp's own count. */
  readonly expectedHosts: readonly string[];
}

/**
 * Judges a stamp by where it was found and what was asked for.
 *
 * @example judgeStamp(stamp, observed, { environment: 'production', expectedHosts: [] }).state // 'copy'
 */
export function judgeStamp(
  stamp: Stamp | null,
  observed: ObservedDatabase | null,
  { environment, expectedHosts }: Expected,
): StampJudgement {
  if (observed === null) return { state: 'missing', because: 'There is no such database.' };
  if (stamp === null) {
    const because = observed.hasHiddenRecords
      ? 'Its stamp cannot be read by this login.'
      : 'Nobody has said yet what this database is.';
    return { state: 'unstamped', because };
  }
  const hosts = expectedHosts.length > 0 ? expectedHosts : stamp.expectedHosts;
  const isAtHome = isExpectedAt(hosts, observed);
  const isSameCluster = stamp.systemIdentifier === observed.systemIdentifier;
  const isSameOid = stamp.databaseOid === observed.databaseOid;
  if (!isSameCluster && isSameOid && hosts.length > 0 && isAtHome) {
    return {
      state: 'upgraded',
      because: `The cluster is another one than the stamp says, at an expected host (${observed.host}) and with the same oid: a major upgrade looks like this.`,
    };
  }
  if (!isSameCluster || !isSameOid) return { state: 'copy', because: `It is a copy of ${originOf(stamp)}.` };
  if (!isAtHome) {
    return {
      state: 'copy',
      because: `It looks like ${originOf(stamp)}, but at ${observed.host}:${observed.port}, where that is not expected (${hosts.join(', ')}): a physical clone looks like this.`,
    };
  }
  if (stamp.environment !== environment) {
    return { state: 'mismatch', because: `It is stamped ${stamp.environment}, and ${environment} is selected.` };
  }
  return {
    state: 'trusted',
    because: `It is stamped ${stamp.environment}, by ${stamp.stampedBy} at ${stamp.stampedAt}.`,
  };
}

/** `production (clinic, stamped 2026-11-21T06:00:00.000Z by alice)` */
export function originOf({ environment, database, stampedAt, stampedBy }: Stamp): string {
  return `${environment} (${database}, stamped ${stampedAt} by ${stampedBy})`;
}

/** The stamp's line of ancestors once it has become another: the present one in front. */
export function lineageAfter(
  stamp: Forebear | null,
  became: Omit<Ancestor, keyof Omit<Forebear, 'lineage'>>,
): readonly Ancestor[] {
  if (stamp === null) return [];
  const { environment, database, systemIdentifier, databaseOid, stampedAt, stampedBy, lineage } = stamp;
  const ancestor: Ancestor = {
    environment,
    protected: stamp.protected,
    database,
    systemIdentifier,
    databaseOid,
    stampedAt,
    stampedBy,
    ...became,
  };
  return [ancestor, ...lineage].slice(0, MOST_ANCESTORS);
}

/** What is kept of a stamp that another one takes the place of, or of a database that had none. */
export type Forebear = Pick<
  Ancestor,
  'environment' | 'protected' | 'database' | 'systemIdentifier' | 'databaseOid' | 'stampedAt' | 'stampedBy'
> & { readonly lineage: readonly Ancestor[] };

/** `production (clinic), copied 2026-11-21T06:00:00Z by alice, as it was at …, masked with rules 3f2a9c…` */
export function describeAncestor({
  environment,
  database,
  became,
  at,
  by,
  backup,
  copiedAt,
  masking,
}: Ancestor): string {
  return [
    `${environment} (${database}), ${became} ${at} by ${by}`,
    ...(backup === undefined ? [] : [`from backup ${backup}`]),
    ...(copiedAt === undefined ? [] : [`as it was at ${copiedAt}`]),
    ...(masking === undefined ? [] : [`masked with rules ${masking.slice(0, 12)}`]),
  ].join(', ');
}

/** A database that is refreshed every night would grow a record without end. */
const MOST_ANCESTORS = 50;

/** Whether `hosts` name the place of the database; where there are none, every place will do. */
export function isExpectedAt(hosts: readonly string[], place: Pick<ObservedDatabase, 'host' | 'port'>): boolean {
  return hosts.length === 0 || hosts.some((host) => isSameHost(host, place));
}

/** `db1`, `db1:5432` or `[::1]:5432`; without a port every port will do. */
function isSameHost(expected: string, { host, port }: Pick<ObservedDatabase, 'host' | 'port'>): boolean {
  const own = host.toLowerCase();
  const wanted = expected.toLowerCase();
  return [own, `${own}:${port}`, `[${own}]`, `[${own}]:${port}`].includes(wanted);
}
