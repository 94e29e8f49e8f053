import type { Queryable } from '../queryable.js';

/** An object as pg_depend names it. */
export interface ObjectAddress {
  /** `pg_class`, `pg_type` … */
  readonly catalog: string;
  readonly oid: string;
  /** Of a column; 0 for all else. */
  readonly column: number;
}

/** Something with rows, or a column with values, that is gone when others are. */
export interface TakenAlong {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'table' | 'foreign table' | 'materialized view';
  /** `null`: all of it. */
  readonly column: string | null;
  readonly isPartitioned: boolean;
}

/**
 * What holds rows among `roots` and everything that goes with them: by itself what is a part of them, with `isCascade` also
 * what only refers to them. A partition goes with its table and is not named.
 */
export async function readTakenAlong(
  db: Queryable,
  roots: readonly ObjectAddress[],
  isCascade: boolean,
): Promise<readonly TakenAlong[]> {
  if (roots.length === 0) return [];
  const { rows } = await db.query<TakenAlong>(TAKEN_ALONG, [
    roots.map(({ catalog }) => `pg_catalog.${catalog}`),
    roots.map(({ oid }) => oid),
    roots.map(({ column }) => column),
    isCascade,
  ]);
  return rows;
}

/* A rule has its view as owner: who drops the rule of a view by CASCADE drops the view. */
const TAKEN_ALONG = `
  with recursive gone (classid, objid, objsubid) as (
    select r.catalog::pg_catalog.regclass::pg_catalog.oid, r.object, r.part
    from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::pg_catalog.oid[]), pg_catalog.unnest($3::integer[]))
      as r (catalog, object, part)
    union
    select next.classid, next.objid, next.objsubid
    from gone
    cross join lateral (
      select d.classid, d.objid, d.objsubid from pg_catalog.pg_depend d
      where d.refclassid = gone.classid and d.refobjid = gone.objid
        and (gone.objsubid = 0 or d.refobjsubid = gone.objsubid)
        and (d.deptype in ('a', 'i', 'P', 'S', 'e') or $4::boolean)
      union all
      select d.refclassid, d.refobjid, d.refobjsubid from pg_catalog.pg_depend d
      where d.classid = gone.classid and d.objid = gone.objid and d.deptype = 'i'
        and gone.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    ) next
  ),
  relation (oid, part) as (
    select objid, objsubid from gone where classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  )
  select c.oid::text, n.nspname::text as schema, c.relname::text as name, a.attname::text as column,
    case c.relkind when 'm' then 'materialized view' when 'f' then 'foreign table' else 'table' end as kind,
    c.relkind = 'p' as "isPartitioned"
  from relation r
  join pg_catalog.pg_class c on c.oid = r.oid and c.relkind in ('r', 'p', 'f', 'm')
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = r.part and r.part > 0 and not a.attisdropped
  where (r.part = 0 or (a.attnum is not null and not exists (select from relation w where w.oid = r.oid and w.part = 0)))
    and not exists (
      select from pg_catalog.pg_inherits i join relation p on p.oid = i.inhparent and (p.part = 0 or p.part = r.part)
      where i.inhrelid = c.oid and c.relispartition)
  order by n.nspname, c.relname, a.attnum nulls first`;

/** The objects that roles own in this database. */
export async function readOwnedObjects(db: Queryable, roles: readonly string[]): Promise<readonly ObjectAddress[]> {
  const { rows } = await db.query<ObjectAddress>(
    `select catalog.relname::text as catalog, s.objid::text as oid, s.objsubid as column
     from pg_catalog.pg_shdepend s
     join pg_catalog.pg_class catalog on catalog.oid = s.classid
     where s.deptype = 'o' and s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
       and s.dbid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
       and s.refobjid in (
         select r.oid from pg_catalog.pg_roles r
         where r.rolname = any ($1::text[])
           or ('current_user' = any ($1::text[]) and r.rolname = current_user)
           or ('session_user' = any ($1::text[]) and r.rolname = session_user))`,
    [roles],
  );
  return rows;
}
