import type { Client } from 'pg';
import { readServerStart } from '../../../database/catalog/server-start.js';
import { readStreamableTables, type StreamableTable } from '../../../database/catalog/streamable-tables.js';
import type { Queryable } from '../../../database/queryable.js';
import { readObservation } from '../../../database/records/observation.js';
import type { Target } from '../../safety/gate.js';
import type { Forebear } from '../../safety/stamp.js';
import { type DatabaseDescription, describeDatabase } from '../database-state/database-description.js';
import { withSnapshot } from '../database-state/snapshot.js';

/** The database that is copied, as it is when the copy is planned. */
export interface CopiedSource extends DatabaseDescription {
  readonly target: Target;
  readonly tables: readonly StreamableTable[];
  /** Of all of it. */
  readonly bytes: number;
  readonly largeObjectBytes: number;
  readonly serverStart: string;
  readonly systemIdentifier: string;
  readonly databaseOid: number;
}

/** Milliseconds that looking waits for a table that somebody alters. */
const LOCK_TIMEOUT_MS = 30_000;

/**
 * Runs `work` in a transaction of the source that only reads, with what is known about it.
 *
 * @throws ManageDbError `LOCK_TIMEOUT`, `PERMISSION_DENIED`, and what connecting throws
 */
export function withSource<T>(
  target: Target,
  signal: AbortSignal | undefined,
  work: (db: Client, source: CopiedSource) => Promise<T>,
): Promise<T> {
  return withSnapshot(target.settings, { lockTimeoutMs: LOCK_TIMEOUT_MS, signal }, async ({ client: db }) => {
    const { systemIdentifier, databaseOid } = await readObservation(db);
    const source = {
      ...(await describeDatabase(db, target.database)),
      ...{ target, systemIdentifier, databaseOid },
      ...(await readSizes(db)),
      tables: await readStreamableTables(db),
      serverStart: await readServerStart(db),
    };
    return work(db, source);
  });
}

async function readSizes(db: Queryable): Promise<Pick<CopiedSource, 'bytes' | 'largeObjectBytes'>> {
  const { rows } = await db.query<{ bytes: number; largeObjectBytes: number }>(`
    select pg_catalog.pg_database_size(pg_catalog.current_database())::double precision as bytes,
      pg_catalog.pg_total_relation_size('pg_catalog.pg_largeobject')::double precision as "largeObjectBytes"`);
  return rows[0] ?? { bytes: 0, largeObjectBytes: 0 };
}

/** What the lineage of its copies says of it. */
export function forebearOf({ target, systemIdentifier, databaseOid }: CopiedSource): Forebear {
  const { environment, database, isProtected, stamp } = target;
  const says = stamp?.says ?? null;
  return {
    environment: says?.environment ?? environment,
    protected: isProtected,
    ...{ database, systemIdentifier, databaseOid },
    stampedAt: says?.stampedAt ?? null,
    stampedBy: says?.stampedBy ?? null,
    lineage: says?.lineage ?? [],
  };
}
