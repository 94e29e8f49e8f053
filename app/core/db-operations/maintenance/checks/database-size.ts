import { listed } from '../../../listed.js';
import { ok, type RunCheck } from '../check.js';

export const checkDatabaseSize: RunCheck = async (db) => {
  const { rows } = await db.query<{ bytes: number; pretty: string }>(DATABASE_SIZE);
  const [size] = rows;
  const largest = await db.query<{ words: string }>(LARGEST_TABLES);
  const tables = listed(largest.rows.map(({ words }) => words));
  return ok(size?.bytes ?? null, `${size?.pretty} on disk.${tables === '' ? '' : ` The largest tables: ${tables}.`}`);
};

const DATABASE_SIZE = `
  select size::float8 as bytes, pg_catalog.pg_size_pretty(size) as pretty
  from pg_catalog.pg_database_size(pg_catalog.current_database()) size`;

/*
 * By the pages that VACUUM and ANALYZE have counted last, with TOAST and indexes, partitions with their parent: asking for
 * the sizes themselves waits for everybody who has locked a table. Less than a megabyte is not worth a word.
 */
const LARGEST_TABLES = `
  select pg_catalog.format('%s (%s)', z.root::pg_catalog.regclass, pg_catalog.pg_size_pretty(z.bytes)) as words
  from (
    select case when c.relispartition then pg_catalog.pg_partition_root(c.oid)::oid else c.oid end as root,
      pg_catalog.sum((c.relpages + coalesce(t.relpages, 0) + coalesce(x.pages, 0))::numeric
        * pg_catalog.current_setting('block_size')::int) as bytes
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_class t on t.oid = c.reltoastrelid
    left join (
      select x.indrelid, pg_catalog.sum(i.relpages) as pages
      from pg_catalog.pg_index x join pg_catalog.pg_class i on i.oid = x.indexrelid
      group by x.indrelid
    ) x on x.indrelid = c.oid
    where c.relkind in ('r', 'm') and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'
    group by 1
  ) z
  where z.bytes >= 1048576
  order by z.bytes desc
  limit 3`;
