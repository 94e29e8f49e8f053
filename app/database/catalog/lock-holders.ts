import type { Queryable } from '../queryable.js';

export interface LockHolder {
  /** Null for a prepared transaction, which no session stands behind. */
  readonly pid: number | null;
  readonly user: string | null;
  readonly application: string | null;
  readonly state: string | null;
  /** The statement that runs, or the last one that ran; null without the right to see it. */
  readonly query: string | null;
  /** How long its transaction has been open. */
  readonly seconds: number | null;
  /** One of the relations that it holds a lock on, with its schema. */
  readonly relation: string;
}

export interface LockFilter {
  /** Only locks on these relations and their partitions; on any relation by default. */
  readonly oids?: readonly number[];
  /** Only locks of these modes (`ShareLock`); of any mode by default. */
  readonly modes?: readonly string[];
}

/**
 * The other sessions that hold a lock on a relation of the users' schemas, the longest transaction first. Only
 * superusers and members of pg_read_all_stats see other users' queries.
 */
export async function readLockHolders(db: Queryable, { oids, modes }: LockFilter = {}): Promise<readonly LockHolder[]> {
  const { rows } = await db.query<LockHolder>(LOCK_HOLDERS, [oids ?? null, modes ?? null]);
  return rows;
}

const LOCK_HOLDERS = `
  with recursive wanted (oid) as (
    select pg_catalog.unnest($1::pg_catalog.oid[])
    union
    select i.inhrelid from pg_catalog.pg_inherits i join wanted on i.inhparent = wanted.oid
  )
  select l.pid, a.usename::text as user, a.application_name as application, a.state, a.query,
    extract(epoch from pg_catalog.statement_timestamp() - a.xact_start)::float8 as seconds,
    pg_catalog.min(pg_catalog.format('%I.%I', n.nspname, c.relname)) as relation
  from pg_catalog.pg_locks l
  join pg_catalog.pg_class c on c.oid = l.relation
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_stat_activity a on a.pid = l.pid
  where l.locktype = 'relation' and l.granted and l.pid is distinct from pg_catalog.pg_backend_pid()
    and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
    and ($1::pg_catalog.oid[] is null or l.relation in (select wanted.oid from wanted))
    and ($2::text[] is null or l.mode = any ($2))
    and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'
  group by 1, 2, 3, 4, 5, 6
  order by 6 desc nulls last, 1`;
