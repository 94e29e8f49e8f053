import type { Queryable } from '../queryable.js';

export interface UserObject {
  /** In PostgreSQL's words: `table`, `materialized view`, `enum`, `domain`, `aggregate`, `text search dictionary`, … */
  readonly kind: string;
  readonly schema: string;
  /** Unquoted; of routines and operators with the types of their arguments. */
  readonly name: string;
  /** With its schema, and quoted, as DROP wants it. */
  readonly identity: string;
  readonly owner: string;
  /** Whether this login may drop it: as its owner, as the schema's owner, or as superuser. */
  readonly droppable: boolean;
}

/**
 * Everything that stands in the users' schemas by itself, except in `manage_db`: relations, types, routines, operators,
 * collations, text search objects, statistics. Left out: what came with an extension, and what is a part of something
 * else (row types, indexes, identity sequences), since it goes with it.
 */
export async function readUserObjects(db: Queryable): Promise<readonly UserObject[]> {
  const { rows } = await db.query<UserObject>(USER_OBJECTS);
  return rows;
}

/*
 * Every object of a schema records a dependency on it, whatever its catalog: one query finds all kinds, also those of
 * later versions. Owners are in pg_shdepend, except for the bootstrap superuser (oid 10), who is pinned.
 */
const USER_OBJECTS = `
  with object as (
    select distinct d.classid, d.objid, n.nspname, n.nspowner
    from pg_catalog.pg_depend d
    join pg_catalog.pg_namespace n
      on d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and n.oid = d.refobjid
    where d.deptype = 'n' and d.objsubid = 0
      and d.classid not in (
        'pg_catalog.pg_extension'::pg_catalog.regclass, 'pg_catalog.pg_default_acl'::pg_catalog.regclass
      )
      and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db')
      and not exists (
        select from pg_catalog.pg_depend part
        where part.classid = d.classid and part.objid = d.objid and part.objsubid = 0 and part.deptype in ('e', 'i')
      )
  ), owned as (
    select o.*, coalesce(s.refobjid, 10::pg_catalog.oid) as owner
    from object o
    left join pg_catalog.pg_shdepend s
      on s.dbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
        and s.classid = o.classid and s.objid = o.objid and s.objsubid = 0 and s.deptype = 'o'
        and s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass
  )
  select
    case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'r' then 'range' when 'c' then 'composite type'
      else address.type end as kind,
    o.nspname::text as schema,
    address.object_names[pg_catalog.cardinality(address.object_names)]
      || case when cardinality(address.object_args) > 0 or o.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
        then '(' || pg_catalog.array_to_string(address.object_args, ', ') || ')' else '' end as name,
    (pg_catalog.pg_identify_object(o.classid, o.objid, 0)).identity as identity,
    pg_catalog.pg_get_userbyid(o.owner)::text as owner,
    pg_catalog.pg_has_role(o.owner, 'USAGE') or pg_catalog.pg_has_role(o.nspowner, 'USAGE') as droppable
  from owned o
  cross join lateral (
    select case when o.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
        then (select array[o.nspname, ty.typname]::text[] from pg_catalog.pg_type ty where ty.oid = o.objid)
        else a.object_names end as object_names,
      case when o.classid = 'pg_catalog.pg_type'::pg_catalog.regclass then '{}' else a.object_args end as object_args,
      a.type
    from pg_catalog.pg_identify_object_as_address(o.classid, o.objid, 0) a
  ) address
  left join pg_catalog.pg_type t on o.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.oid = o.objid
  order by 1, 2, 3`;
