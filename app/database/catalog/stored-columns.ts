import type { Queryable } from '../queryable.js';

/** A table that rows are stored in, with its columns in their order. */
export interface StoredColumns {
  readonly schema: string;
  readonly name: string;
  /** Without those that are computed. */
  readonly columns: readonly string[];
}

/** Every table outside of PostgreSQL's schemas and manage_db's own, without temporary ones; partitions, and not what they are of. */
export async function readStoredColumns(db: Queryable): Promise<readonly StoredColumns[]> {
  const { rows } = await db.query<StoredColumns & Record<string, unknown>>(STORED_COLUMNS);
  return rows;
}

const STORED_COLUMNS = `
  select n.nspname::text as schema, c.relname::text as name,
    array(
      select a.attname::text from pg_catalog.pg_attribute a
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      order by a.attnum
    ) as columns
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'manage_db')
  order by n.nspname, c.relname`;
