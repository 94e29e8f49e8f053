import type { Queryable } from '../queryable.js';
import { inUserSchema } from './catalog-filter.js';

/** A foreign key between two tables; a partition stands under the name of the table that it is one of. */
export interface EntityReference {
  readonly schema: string;
  readonly table: string;
  /** In the order of the key. */
  readonly columns: readonly string[];
  readonly targetSchema: string;
  readonly targetTable: string;
  /** Every row refers to another one: none of the columns can be null, and it is a key of all partitions. */
  readonly isMandatory: boolean;
  readonly name: string;
}

/** The foreign keys of the users' tables. What partitions have from their parents is left out. */
export async function readEntityReferences(db: Queryable): Promise<readonly EntityReference[]> {
  const { rows } = await db.query<EntityReference>(ENTITY_REFERENCES, [null]);
  return rows;
}

const ENTITY_REFERENCES = `
  select n.nspname::text as schema, c.relname::text as "table", key.columns, tn.nspname::text as "targetSchema",
    target.relname::text as "targetTable", key.is_mandatory and c.oid = con.conrelid as "isMandatory", con.conname::text as name
  from pg_catalog.pg_constraint con
  join pg_catalog.pg_class c on c.oid = coalesce(pg_catalog.pg_partition_root(con.conrelid), con.conrelid)
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_class target on target.oid = coalesce(pg_catalog.pg_partition_root(con.confrelid), con.confrelid)
  join pg_catalog.pg_namespace tn on tn.oid = target.relnamespace
  cross join lateral (
    select pg_catalog.array_agg(a.attname::text order by u.place) as columns,
      pg_catalog.bool_and(a.attnotnull or (t.typtype = 'd' and t.typnotnull)) as is_mandatory
    from pg_catalog.unnest(con.conkey) with ordinality as u (attnum, place)
    join pg_catalog.pg_attribute a on a.attrelid = con.conrelid and a.attnum = u.attnum
    join pg_catalog.pg_type t on t.oid = a.atttypid
  ) key
  where con.contype = 'f' and con.conparentid = 0
    and ${inUserSchema('n')}
  order by 1, 2, 3, 4, 5, 7`;
