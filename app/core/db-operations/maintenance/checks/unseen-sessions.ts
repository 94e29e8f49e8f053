import { escapeIdentifier } from 'pg';
import type { Queryable } from '../../../../database/queryable.js';
import { type Check, type CheckContext, ok } from '../check.js';

/** Nothing was found in the sessions; but only superusers and members of pg_read_all_stats see those of other logins. */
export async function nothingSeen(db: Queryable, { user }: CheckContext, detail: string): Promise<Omit<Check, 'name'>> {
  const { rows } = await db.query<{ count: number }>(UNSEEN);
  const count = rows[0]?.count ?? 0;
  if (count === 0) return ok(0, detail);
  return {
    status: 'info',
    value: 0,
    detail: `${detail} ${user} cannot look into ${count} sessions of other logins.`,
    fix: `grant pg_read_all_stats to ${escapeIdentifier(user)};`,
  };
}

const UNSEEN = `
  select pg_catalog.count(*)::int as count
  from pg_catalog.pg_stat_activity a
  where a.datname = pg_catalog.current_database() and a.usesysid is not null
    and not pg_catalog.pg_has_role(a.usesysid, 'USAGE') and not pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')`;
