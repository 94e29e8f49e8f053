import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';
import type { RelationName } from './relation-names.js';

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

/** The table that the relation `oid` is a partition of, at the top; itself where it is none. */
export async function readPartitionRoot(db: Queryable, oid: number): Promise<RelationName | undefined> {
  const { rows } = await db.query<RelationName>(PARTITION_ROOT, [oid]);
  return rows[0];
}

const PARTITION_ROOT = `
  select c.oid, n.nspname::text as schema, c.relname::text as name
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.oid = coalesce(pg_catalog.pg_partition_root($1)::pg_catalog.oid, $1)`;

/** The partitions of these partitioned tables, and their partitions, by oid. */
export async function readPartitionsBelow(db: Queryable, oids: readonly number[]): Promise<readonly RelationName[]> {
  if (oids.length === 0) return [];
  const { rows } = await db.query<RelationName>(PARTITIONS_BELOW, [oids]);
  return rows;
}

/** `below`: the oids of the partitions of `$1`, whatever their depth. */
export const BELOW = `
  with recursive below (oid) as (
    select i.inhrelid from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relispartition
    where i.inhparent = any ($1::oid[])
    union
    select i.inhrelid from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relispartition
    join below on below.oid = i.inhparent
  )`;

const PARTITIONS_BELOW = `${BELOW}
  select c.oid, n.nspname::text as schema, c.relname::text as name
  from below
  join pg_catalog.pg_class c on c.oid = below.oid and c.relkind in ('r', 'p', 'f')
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  order by 2, 3`;

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
