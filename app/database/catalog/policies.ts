import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';

export interface Policy {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly command: 'ALL' | 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';
  readonly permissive: boolean;
  /** `public` stands for every role. */
  readonly roles: readonly string[];
  readonly using: string | null;
  readonly check: string | null;
  /** False when row level security is not switched on for the table: the policy is written down and does nothing. */
  readonly active: boolean;
  readonly comment: string | null;
}

/** Row level security policies. */
export async function readPolicies(db: Queryable, filter: CatalogFilter = {}): Promise<readonly Policy[]> {
  const { rows } = await db.query<Policy>(POLICIES, filterValues(filter));
  return rows;
}

const POLICIES = withQualifiedNames(
  `
  select n.nspname::text as schema, c.relname::text as "table", p.polname::text as name,
    case p.polcmd when 'r' then 'SELECT' when 'a' then 'INSERT' when 'w' then 'UPDATE' when 'd' then 'DELETE' else 'ALL' end
      as command,
    p.polpermissive as permissive,
    array(
      select case when role = 0 then 'public' else pg_catalog.pg_get_userbyid(role)::text end
      from pg_catalog.unnest(p.polroles) role order by 1
    ) as roles,
    pg_catalog.pg_get_expr(p.polqual, p.polrelid) as "using",
    pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as "check",
    c.relrowsecurity as active,
    pg_catalog.obj_description(p.oid, 'pg_policy') as comment
  from pg_catalog.pg_policy p
  join pg_catalog.pg_class c on c.oid = p.polrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where ${inUserSchema('n')}
    and ($2::text is null or c.relname = $2::text)`,
  'schema, "table", name',
);
