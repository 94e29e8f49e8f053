import type { Queryable } from '../queryable.js';

/** A table or sequence whose contents the login cannot read, or not all of them. */
export interface Unreadable {
  readonly kind: 'table' | 'sequence';
  readonly schema: string;
  readonly name: string;
  /** `policy`: row level security hides rows, or could. */
  readonly because: 'privilege' | 'policy';
}

/** By schema and name, in the users' schemas. Whether policies count depends on the login, not on `row_security`. */
export async function readUnreadable(db: Queryable): Promise<Unreadable[]> {
  const { rows } = await db.query<Unreadable>(UNREADABLE);
  return rows;
}

/* Functions that take an oid: a name could not be looked up in a schema that may not be used. */
const UNREADABLE = `
  select case c.relkind when 'S' then 'sequence' else 'table' end as kind, n.nspname::text as schema, c.relname::text as name,
    case when r.may then 'policy' else 'privilege' end as because
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select pg_catalog.has_schema_privilege(n.oid, 'usage') and case c.relkind
      when 'S' then pg_catalog.has_sequence_privilege(c.oid, 'select') else pg_catalog.has_table_privilege(c.oid, 'select') end as may) r
  where c.relkind in ('r', 'S') and c.relpersistence <> 't'
    and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'
    and (not r.may or (c.relkind = 'r' and pg_catalog.row_security_active(c.oid)))
    and not exists (
      select from pg_catalog.pg_depend member
      where member.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and member.objid = c.oid and member.deptype = 'e')
  order by 2, 3`;
