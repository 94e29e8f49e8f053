import { listed } from '../../../listed.js';
import { type RunCheck, statements } from '../check.js';
import { nothingSeen } from './unseen-sessions.js';

const WARNING_SECONDS = 5 * 60;
const CRITICAL_SECONDS = 60 * 60;

export const checkLongTransactions: RunCheck = async (db, context) => {
  const { rows } = await db.query<{ pid: number; session: string; seconds: number }>(LONG_TRANSACTIONS, [
    WARNING_SECONDS,
  ]);
  const [oldest] = rows;
  if (oldest === undefined) {
    return nothingSeen(db, context, `No transaction has been running for more than ${WARNING_SECONDS / 60} minutes.`);
  }
  return {
    status: oldest.seconds >= CRITICAL_SECONDS ? 'critical' : 'warning',
    value: Math.round(oldest.seconds),
    detail: `Running for up to ${Math.round(oldest.seconds / 60)} minutes, which keeps VACUUM from cleaning up: ${listed(rows.map(({ session }) => session))}.`,
    fix: statements(rows.map(({ pid }) => `select pg_cancel_backend(${pid})`)),
  };
};

const LONG_TRANSACTIONS = `
  select a.pid, pg_catalog.format('pid %s (%s, %s)', a.pid, a.usename, coalesce(nullif(a.application_name, ''), 'unnamed'))
      as session,
    extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as seconds
  from pg_catalog.pg_stat_activity a
  where a.datname = pg_catalog.current_database() and a.backend_type = 'client backend'
    and a.pid <> pg_catalog.pg_backend_pid()
    and a.state not like 'idle in transaction%'
    and a.xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1)
  order by a.xact_start`;
