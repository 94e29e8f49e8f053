import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';

/** What one role may do with a relation, or with one column of it. */
export interface Privilege {
  readonly schema: string;
  readonly table: string;
  /** Null: it is for the whole relation. */
  readonly column: string | null;
  /** `public` stands for every role. */
  readonly role: string;
  /** As GRANT names them. */
  readonly privileges: readonly string[];
  /** Those that the role may grant to others. */
  readonly grantable: readonly string[];
}

/**
 * The privileges that were granted, and the owner's, which are there without a grant: the owner first, then by role. What a
 * superuser or a member of a role may do besides is not listed.
 */
export async function readPrivileges(db: Queryable, filter: CatalogFilter = {}): Promise<readonly Privilege[]> {
  const { rows } = await db.query<Privilege>(PRIVILEGES, filterValues(filter));
  return rows;
}

const PRIVILEGES = `
  with relation as (
    select c.oid, n.nspname, c.relname, c.relowner, c.relkind, c.relacl
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and ${inUserSchema('n')}
      and ($2::text is null or c.relname = $2::text)
  ), granted as (
    select r.oid, 0 as attnum, null::text as attname, acl.grantee, acl.privilege_type, acl.is_grantable
    from relation r
    cross join lateral pg_catalog.aclexplode(
      coalesce(r.relacl, pg_catalog.acldefault(case r.relkind when 'S' then 's' else 'r' end::"char", r.relowner))) acl
    union all
    select r.oid, a.attnum, a.attname::text, acl.grantee, acl.privilege_type, acl.is_grantable
    from relation r
    join pg_catalog.pg_attribute a on a.attrelid = r.oid and not a.attisdropped
    cross join lateral pg_catalog.aclexplode(a.attacl) acl
  )
  select r.nspname::text as schema, r.relname::text as "table", g.attname as "column",
    case when g.grantee = 0 then 'public' else pg_catalog.pg_get_userbyid(g.grantee)::text end as role,
    pg_catalog.array_agg(distinct g.privilege_type order by g.privilege_type) as privileges,
    coalesce(
      pg_catalog.array_agg(distinct g.privilege_type order by g.privilege_type) filter (where g.is_grantable), '{}'
    ) as grantable
  from relation r
  join granted g on g.oid = r.oid
  group by r.nspname, r.relname, r.relowner, g.attnum, g.attname, g.grantee
  order by 1, 2, g.attnum, g.grantee <> r.relowner, 4`;
