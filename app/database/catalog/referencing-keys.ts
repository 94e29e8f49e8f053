import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';

export interface ReferencingKey {
  /** The table that has the foreign key. */
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly definition: string;
}

/** The foreign keys that point at the tables of `filter`. Those that a partition has from its parent are left out. */
export async function readReferencingKeys(db: Queryable, filter: CatalogFilter): Promise<readonly ReferencingKey[]> {
  const { rows } = await db.query<ReferencingKey>(REFERENCING_KEYS, filterValues(filter));
  return rows;
}

const REFERENCING_KEYS = withQualifiedNames(
  `
  select own.nspname::text as schema, c.relname::text as "table", con.conname::text as name,
    pg_catalog.pg_get_constraintdef(con.oid) as definition
  from pg_catalog.pg_constraint con
  join pg_catalog.pg_class c on c.oid = con.conrelid
  join pg_catalog.pg_namespace own on own.oid = c.relnamespace
  join pg_catalog.pg_class target on target.oid = con.confrelid
  join pg_catalog.pg_namespace n on n.oid = target.relnamespace
  where con.contype = 'f' and con.conparentid = 0
    and ${inUserSchema('n')}
    and ($2::text is null or target.relname = $2::text)`,
  'schema, "table", name',
);
