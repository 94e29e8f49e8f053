import type { Queryable } from '../queryable.js';

/** A COPY that is running. */
export interface RunningCopy {
  readonly oid: number;
  readonly bytes: number;
  readonly rows: number;
  /** What the planner thinks how many there are; -1 where it does not know. */
  readonly expectedRows: number;
}

/** The sizes of tables with their TOAST, in bytes, by oid; what is gone meanwhile is not there. */
export async function readTableSizes(db: Queryable, oids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const { rows } = await db.query<{ oid: number; bytes: number }>(
    `select w.oid, pg_catalog.pg_table_size(w.oid)::float8 as bytes
    from pg_catalog.unnest($1::oid[]) as w (oid)
    where pg_catalog.pg_table_size(w.oid) is not null`,
    [oids],
  );
  return new Map(rows.map(({ oid, bytes }) => [oid, bytes]));
}

/** What the sessions with this application_name copy out of the current database just now. */
export async function readRunningCopies(db: Queryable, application: string): Promise<readonly RunningCopy[]> {
  const { rows } = await db.query<RunningCopy>(
    `select p.relid as oid, p.bytes_processed::float8 as bytes, p.tuples_processed::float8 as rows,
      coalesce(c.reltuples, -1)::float8 as "expectedRows"
    from pg_catalog.pg_stat_progress_copy p
    join pg_catalog.pg_stat_activity a on a.pid = p.pid
    left join pg_catalog.pg_class c on c.oid = p.relid
    where a.application_name = $1 and p.datname = pg_catalog.current_database()`,
    [application],
  );
  return rows;
}
