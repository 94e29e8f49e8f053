import type { Queryable } from '../queryable.js';

/** The tablespaces in which something of this database was put by name, for what a dump names. Ordered by name. */
export async function readUsedTablespaces(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(USED_TABLESPACES);
  return rows.map(({ name }) => name);
}

/** Partitioned tables and indexes, which hold nothing, are put somewhere too. */
const USED_TABLESPACES = `
  select distinct t.spcname::text as name
  from pg_catalog.pg_class c
  join pg_catalog.pg_tablespace t on t.oid = c.reltablespace
  where c.oid >= 16384 and c.relkind in ('r', 'p', 'm', 'i', 'I')
  order by 1`;
