import type { Queryable } from '../queryable.js';

/** A table in which an INSERT fires triggers of users, with the tables that its foreign keys refer to, all by their oids. */
export interface FiringTable {
  readonly oid: number;
  readonly refersTo: readonly number[];
}

/** Partitions count for themselves: what fires on the table that they belong to fires on them for each row. */
export async function readFiringTables(db: Queryable): Promise<readonly FiringTable[]> {
  const { rows } = await db.query<FiringTable>(FIRING);
  return rows;
}

// until PostgreSQL 14, the triggers of partitions that come from their parent are called internal
const FIRING = `
  select t.tgrelid as oid, array(
    select k.confrelid from pg_catalog.pg_constraint k where k.conrelid = t.tgrelid and k.contype = 'f' order by 1) as "refersTo"
  from pg_catalog.pg_trigger t
  left join pg_catalog.pg_constraint c on c.oid = t.tgconstraint
  where (c.oid is null or c.contype = 't') and t.tgenabled in ('O', 'A') and t.tgtype & 4 <> 0
  group by t.tgrelid
  order by t.tgrelid`;
