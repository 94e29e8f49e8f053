import { createHash } from 'node:crypto';
import { readExtensions } from '../../../../database/catalog/extensions.js';
import type { Queryable } from '../../../../database/queryable.js';
import { type Observation, readObservation } from '../../../../database/records/observation.js';
import { withConnection } from '../../../../services/with-connection.js';
import { ManageDbError } from '../../../errors.js';
import { newestVersion } from '../../../migration-versions.js';
import type { Target } from '../../../safety/gate.js';
import { readDatabaseProperties } from '../../database-state/database-properties.js';
import type { DatabaseProperties } from '../../manifest/manifest.js';
import { readSizeOf } from '../../restore/space-needed.js';
import { type AppliedRecord, readHistory } from '../history.js';

/** The database that migrations are meant for. */
export interface LiveDatabase {
  readonly properties: DatabaseProperties;
  readonly serverMajor: number;
  readonly extensions: readonly { readonly name: string }[];
  readonly bytes: number;
  /** The newest migration that is applied, as the manifests of backups have it. */
  readonly head: string | null;
  /** What is applied, as one text. */
  readonly history: string;
  readonly fingerprint: string;
}

/** @throws ManageDbError `DATABASE_MISSING`, and the connection's codes */
export function readLiveDatabase({ settings, database, serverMajor }: Target): Promise<LiveDatabase> {
  return withConnection(settings, {}, async (db) => {
    const properties = await readDatabaseProperties(db, database);
    if (properties === null || serverMajor === null) {
      throw new ManageDbError('DATABASE_MISSING', `${database} has gone in this moment.`, {
        hint: 'See what is there: manage_db doctor',
      });
    }
    const live = await readLiveHistory(db);
    return {
      ...{ properties, serverMajor },
      extensions: await readExtensions(db),
      bytes: (await readSizeOf(db, database)) ?? 0,
      head: newestVersion(live.applied.map(({ version }) => version)),
      history: asText(live.applied),
      fingerprint: fingerprintOf(live),
    };
  });
}

/** What is applied in the database of `db`, as one text. */
export async function readAppliedHere(db: Queryable): Promise<string> {
  return asText((await readHistory(db)).applied);
}

type Applied = Pick<AppliedRecord, 'version' | 'checksum'>;

function asText(applied: readonly Applied[]): string {
  const pairs = applied.map(({ version, checksum }) => [version, checksum] as const);
  return JSON.stringify(pairs.sort(([one], [other]) => (one < other ? -1 : 1)));
}

/** Which database it is, and what is applied in it. */
export interface LiveHistory extends Pick<Observation, 'systemIdentifier' | 'databaseOid'> {
  readonly applied: readonly Applied[];
}

export async function readLiveHistory(db: Queryable): Promise<LiveHistory> {
  const { systemIdentifier, databaseOid } = await readObservation(db);
  return { systemIdentifier, databaseOid, applied: (await readHistory(db)).applied };
}

/**
 * Which database this is, by its server and its number there, and which migrations, with their checksums, are applied in it. A
 * rehearsal is about exactly that: after a restore, or another migration, it is about something else.
 *
 * @example const fingerprint = fingerprintOf(await withConnection(settings, {}, readLiveHistory));
 */
export function fingerprintOf({ systemIdentifier, databaseOid, applied }: LiveHistory): string {
  return createHash('sha256')
    .update(JSON.stringify([systemIdentifier, databaseOid, asText(applied)]))
    .digest('hex');
}
