import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';

export interface Constraint {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly kind: 'primary' | 'foreign' | 'unique' | 'check' | 'exclusion';
  /** As pg_get_constraintdef writes it, every name with its schema. */
  readonly definition: string;
  /** False when existing rows were never checked (NOT VALID). */
  readonly validated: boolean;
  /** When it is checked: by the statement, or later if `set constraints` says so, or at the end of the transaction. */
  readonly checked: 'immediate' | 'deferrable' | 'deferred';
  /** What a partition or an heir has from its parent. */
  readonly inherited: boolean;
  readonly comment: string | null;
}

/**
 * Keys, checks and exclusions of tables. NOT NULL is a column's property here on every version (PostgreSQL 18 lists it
 * as a constraint); what a partition has from its parent is listed for the partition too.
 */
export async function readConstraints(db: Queryable, filter: CatalogFilter = {}): Promise<readonly Constraint[]> {
  const { rows } = await db.query<Constraint>(CONSTRAINTS, filterValues(filter));
  return rows;
}

const CONSTRAINTS = withQualifiedNames(
  `
  select n.nspname::text as schema, c.relname::text as "table", con.conname::text as name,
    case con.contype
      when 'p' then 'primary' when 'f' then 'foreign' when 'u' then 'unique' when 'c' then 'check' else 'exclusion'
    end as kind,
    pg_catalog.pg_get_constraintdef(con.oid) as definition,
    con.convalidated as validated,
    case when con.condeferred then 'deferred' when con.condeferrable then 'deferrable' else 'immediate' end as checked,
    con.coninhcount > 0 as inherited,
    pg_catalog.obj_description(con.oid, 'pg_constraint') as comment
  from pg_catalog.pg_constraint con
  join pg_catalog.pg_class c on c.oid = con.conrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where con.contype in ('p', 'f', 'u', 'c', 'x')
    and ${inUserSchema('n')}
    and ($2::text is null or c.relname = $2::text)`,
  `schema, "table", pg_catalog.array_position(array['primary', 'unique', 'foreign', 'check', 'exclusion'], kind), name`,
);
