import { listed } from '../../../listed.js';
import { type RunCheck, statements } from '../check.js';
import { nothingSeen } from './unseen-sessions.js';

const WARNING_SECONDS = 60;
const CRITICAL_SECONDS = 15 * 60;

export const checkIdleInTransaction: RunCheck = async (db, context) => {
  const { rows } = await db.query<{ pid: number; session: string; seconds: number }>(IDLE_IN_TRANSACTION, [
    WARNING_SECONDS,
  ]);
  const [longest] = rows;
  if (longest === undefined) return nothingSeen(db, context, 'No session sits idle in an open transaction.');
  return {
    status: longest.seconds >= CRITICAL_SECONDS ? 'critical' : 'warning',
    value: Math.round(longest.seconds),
    detail: `Idle in an open transaction for up to ${Math.round(longest.seconds / 60)} minutes, holding its locks: ${listed(rows.map(({ session }) => session))}.`,
    fix: statements(rows.map(({ pid }) => `select pg_terminate_backend(${pid})`)),
  };
};

const IDLE_IN_TRANSACTION = `
  select a.pid, pg_catalog.format('pid %s (%s, %s)', a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'unnamed'))
      as session,
    extract(epoch from pg_catalog.clock_timestamp() - a.state_change)::float8 as seconds
  from pg_catalog.pg_stat_activity a
  where a.datname = pg_catalog.current_database() and a.backend_type = 'client backend'
    and a.pid <> pg_catalog.pg_backend_pid()
    and a.state like 'idle in transaction%'
    and a.state_change < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1)
  order by a.state_change`;
