import type { Queryable } from '../queryable.js';
import type { LockHolder } from './lock-holders.js';

/**
 * The sessions that the backend `pid` waits for at this moment, with one of the relations that they hold a lock on which
 * it wants.
 */
export async function readBlockingSessions(db: Queryable, pid: number): Promise<readonly LockHolder[]> {
  const { rows } = await db.query<LockHolder>(BLOCKING_SESSIONS, [pid]);
  return rows;
}

// pg_blocking_pids says 0 for a prepared transaction
const BLOCKING_SESSIONS = `
  select nullif(b.pid, 0) as pid, a.usename::text as user, a.application_name as application, a.state, a.query,
    extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as seconds,
    coalesce(
      (select pg_catalog.format('%I.%I', n.nspname, c.relname)
       from pg_catalog.pg_locks wanted
       join pg_catalog.pg_class c on c.oid = wanted.relation
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       where wanted.pid = $1 and not wanted.granted
       limit 1),
      'something else than a table') as relation
  from (select distinct pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) as pid) b
  left join pg_catalog.pg_stat_activity a on a.pid = b.pid
  order by seconds desc nulls last, b.pid`;
