import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';

export interface Partition {
  readonly schema: string;
  readonly name: string;
  /** `FOR VALUES FROM ('2025-01-01') TO ('2025-02-01')`, or `DEFAULT`. */
  readonly bound: string;
}

/** The direct partitions of the partitioned tables of `filter`. */
export async function readPartitions(db: Queryable, filter: CatalogFilter): Promise<readonly Partition[]> {
  const { rows } = await db.query<Partition>(PARTITIONS, filterValues(filter));
  return rows;
}

const PARTITIONS = withQualifiedNames(
  `
  select own.nspname::text as schema, c.relname::text as name,
    pg_catalog.pg_get_expr(c.relpartbound, c.oid) as bound
  from pg_catalog.pg_inherits i
  join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relispartition and c.relkind in ('r', 'p', 'f')
  join pg_catalog.pg_namespace own on own.oid = c.relnamespace
  join pg_catalog.pg_class parent on parent.oid = i.inhparent
  join pg_catalog.pg_namespace n on n.oid = parent.relnamespace
  where ${inUserSchema('n')}
    and ($2::text is null or parent.relname = $2::text)`,
  'schema, name',
);
