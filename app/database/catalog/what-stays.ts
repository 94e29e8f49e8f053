import type { Queryable } from '../queryable.js';

/**
 * Statements that bring back what a fresh database has, for what is not dropped: default privileges, the rows of
 * extensions' configuration tables, and owner, comment and grants of the schemas that stay. Under any search_path.
 *
 * @param schemas those that stay
 */
export async function readResetStatements(db: Queryable, schemas: readonly string[]): Promise<readonly string[]> {
  const { rows } = await db.query<{ sql: string }>(RESET, [schemas]);
  return rows.map(({ sql }) => sql);
}

/** In pg_default_acl, a letter for each kind of object. */
const KIND = `case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions'
  when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end`;

/*
 * Where nothing is left that differs from what PostgreSQL gives by itself, it forgets the entry: for a schema that is
 * nothing at all, for a whole database what acldefault says.
 */
const RESET = `
  with defaults as (
    select d.oid, pg_catalog.format('alter default privileges for role %I%s', r.rolname,
        case when n.oid is not null then pg_catalog.format(' in schema %I', n.nspname) end) as start,
      ${KIND} as kind, d.defaclacl as acl, n.oid is null as is_global, r.rolname, d.defaclrole, d.defaclobjtype
    from pg_catalog.pg_default_acl d
    join pg_catalog.pg_roles r on r.oid = d.defaclrole
    left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
  ),
  statements (place, sql) as (
    select 1, pg_catalog.format('%s revoke all on %s from %s', d.start, d.kind, pg_catalog.string_agg(distinct
      case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end, ', '))
    from defaults d cross join lateral pg_catalog.aclexplode(d.acl) a group by d.start, d.kind
    union all
    select 2, pg_catalog.format('%s grant all on %s to %I', d.start, d.kind, d.rolname) from defaults d where d.is_global
    union all
    select 2, pg_catalog.format('%s grant %s on %s to public', d.start,
      case d.defaclobjtype when 'f' then 'execute' else 'usage' end, d.kind)
    from defaults d where d.is_global and d.defaclobjtype in ('f', 'T')
    union all
    select 3, pg_catalog.format('delete from only %s %s', c.table_oid::pg_catalog.oid::pg_catalog.regclass, c.condition)
    from pg_catalog.pg_extension e
    cross join lateral rows from (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) as c (table_oid, condition)
    join pg_catalog.pg_class t on t.oid = c.table_oid and t.relkind in ('r', 'p')
    union all
    select 4, pg_catalog.format('revoke all on schema %I from %s', n.nspname, pg_catalog.string_agg(distinct
      case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end, ', '))
    from pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) a
    where n.nspname = any ($1) and a.grantee <> n.nspowner group by n.nspname
    union all
    select 5, pg_catalog.format('grant %s on schema %I to public', pg_catalog.string_agg(a.privilege_type, ', '), n.nspname)
    from pg_catalog.pg_namespace n
    join pg_catalog.pg_init_privs p on p.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and p.objoid = n.oid
    cross join lateral pg_catalog.aclexplode(p.initprivs) a
    where n.nspname = any ($1) and n.nspname = 'public' and a.grantee = 0 group by n.nspname
    union all
    select 6, pg_catalog.format('comment on schema %I is %s', n.nspname,
      case n.nspname when 'public' then '''standard public schema''' else 'null' end)
    from pg_catalog.pg_namespace n
    where n.nspname = any ($1)
      and pg_catalog.obj_description(n.oid, 'pg_namespace') is distinct from
        case n.nspname when 'public' then 'standard public schema' end
  )
  select s.sql from statements s order by s.place, s.sql`;
