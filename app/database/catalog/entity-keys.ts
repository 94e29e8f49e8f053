import type { Queryable } from '../queryable.js';
import { inUserSchema } from './catalog-filter.js';

/** Columns whose values are different in every row. */
export interface EntityKey {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly isPrimary: boolean;
}

/**
 * The primary and unique keys of tables, by constraint or by index. An index on expressions, on some of the rows, or that was never
 * finished keeps nothing apart, and what a partition has is not true of the whole table.
 */
export async function readEntityKeys(db: Queryable): Promise<readonly EntityKey[]> {
  const { rows } = await db.query<EntityKey>(ENTITY_KEYS, [null]);
  return rows;
}

const ENTITY_KEYS = `
  select distinct n.nspname::text as schema, c.relname::text as "table", x.indisprimary as "isPrimary",
    array(
      select a.attname::text from pg_catalog.unnest(x.indkey::int2[]) with ordinality as u (attnum, place)
      join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = u.attnum
      where u.place <= x.indnkeyatts order by u.place
    ) as columns
  from pg_catalog.pg_index x
  join pg_catalog.pg_class c on c.oid = x.indrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where x.indisunique and x.indisvalid and x.indpred is null and x.indexprs is null and c.relkind in ('r', 'p')
    and not c.relispartition
    and ${inUserSchema('n')}
  order by 1, 2, 3 desc, 4`;
