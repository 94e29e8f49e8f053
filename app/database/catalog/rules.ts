import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';
import type { TriggerMode } from './trigger-sql.js';

/** A rewrite rule. */
export interface Rule {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly event: 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';
  /** Whether it takes the place of what was asked for. */
  readonly instead: boolean;
  /** As of a trigger. */
  readonly enabled: TriggerMode;
  readonly definition: string;
  readonly comment: string | null;
}

/** The rules of tables and views, in the order in which they apply (by name), without the one that makes a view a view. */
export async function readRules(db: Queryable, filter: CatalogFilter = {}): Promise<readonly Rule[]> {
  const { rows } = await db.query<Rule>(RULES, filterValues(filter));
  return rows;
}

const RULES = withQualifiedNames(
  `
  select n.nspname::text as schema, c.relname::text as "table", r.rulename::text as name,
    case r.ev_type when '1' then 'SELECT' when '2' then 'UPDATE' when '3' then 'INSERT' else 'DELETE' end as event,
    r.is_instead as instead,
    case r.ev_enabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica' else 'always' end as enabled,
    pg_catalog.pg_get_ruledef(r.oid) as definition,
    pg_catalog.obj_description(r.oid, 'pg_rewrite') as comment
  from pg_catalog.pg_rewrite r
  join pg_catalog.pg_class c on c.oid = r.ev_class
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where r.rulename <> '_RETURN'
    and ${inUserSchema('n')}
    and ($2::text is null or c.relname = $2::text)`,
  'schema, "table", name collate "C"',
);
