import { listed } from '../../../listed.js';
import { ok, type RunCheck, statements } from '../check.js';

const CRITICAL_SECONDS = 60;

export const checkBlockedQueries: RunCheck = async (db) => {
  const { rows } = await db.query<{ pid: number; blockers: number[]; seconds: number }>(BLOCKED_QUERIES);
  const [longest] = rows;
  if (longest === undefined) return ok(0, 'No query waits for a lock.');
  const waiting = new Set(rows.map(({ pid }) => pid));
  const blockers = [...new Set(rows.flatMap((row) => row.blockers))];
  // The head of the queue is what to end: a blocker that itself waits goes on by itself.
  const heads = blockers.filter((pid) => !waiting.has(pid));
  const ends = (heads.length > 0 ? heads : blockers).map((pid) =>
    // a prepared transaction has no session
    pid === 0
      ? { words: 'a prepared transaction', fix: PREPARED }
      : { words: `pid ${pid}`, fix: `select pg_terminate_backend(${pid})` },
  );
  return {
    status: longest.seconds >= CRITICAL_SECONDS ? 'critical' : 'warning',
    value: rows.length,
    detail: `${rows.length} waiting for a lock, the longest for ${Math.round(longest.seconds)} s, behind ${listed(ends.map(({ words }) => words))}.`,
    fix: statements(ends.map(({ fix }) => fix)),
  };
};

const PREPARED = `select format('rollback prepared %L', gid) from pg_prepared_xacts order by prepared`;

/* pg_blocking_pids locks the whole lock table: it is asked only about sessions that wait. */
const BLOCKED_QUERIES = `
  select a.pid, pg_catalog.pg_blocking_pids(a.pid) as blockers,
    extract(epoch from pg_catalog.clock_timestamp() - coalesce(l.waitstart, a.state_change))::float8 as seconds
  from pg_catalog.pg_stat_activity a
  join pg_catalog.pg_locks l on l.pid = a.pid and not l.granted
  where a.datname = pg_catalog.current_database()
  order by 3 desc nulls last`;
