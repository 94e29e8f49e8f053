import type { RunCheck } from '../check.js';
import { checkBloat } from './bloat.js';

/** An estimate from the statistics: it reads no table, and wants neither pgstattuple nor a superuser. */
export const checkTableBloat: RunCheck = (db) => checkBloat(db, 'tables', TABLE_BLOAT);

/*
 * After the approach of https://github.com/ioguix/pgsql-bloat-estimation: how many pages the rows would fill, by their
 * average width. A row takes a line pointer of 4 bytes, a header of 23 with a bit for each column where one may be null, and
 * its columns, both aligned to 8 bytes; a page has a header of 24 and is filled up to the fillfactor. TOAST keeps four
 * chunks a page. Where the statistics of a column are missing, or hidden from this login, nothing is estimated.
 */
const TABLE_BLOAT = `
  with large as (
    select c.oid, n.nspname, c.relname, c.reltuples, c.relpages, c.relnatts, c.relispartition, c.reltoastrelid,
      pg_catalog.current_setting('block_size')::numeric as block,
      coalesce((select o.option_value::int from pg_catalog.pg_options_to_table(c.reloptions) o where o.option_name = 'fillfactor'), 100)
        as fillfactor
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_class t on t.oid = c.reltoastrelid
    where c.relkind in ('r', 'm') and c.reltuples >= 0
      and (c.relpages + coalesce(t.relpages, 0))::numeric * pg_catalog.current_setting('block_size')::int >= $1
      and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'
  ), width as (
    select l.oid, pg_catalog.count(*) = pg_catalog.count(s.avg_width) as is_known,
      coalesce(pg_catalog.max(s.null_frac), 0) > 0 as has_nulls,
      pg_catalog.sum((1 - s.null_frac) * s.avg_width) as data
    from large l
    join pg_catalog.pg_attribute a on a.attrelid = l.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_stats s on s.schemaname = l.nspname and s.tablename = l.relname and s.attname = a.attname
      and not s.inherited
    group by l.oid
  ), estimate as (
    select case when l.relispartition then pg_catalog.pg_partition_root(l.oid)::oid else l.oid end as root, w.is_known,
      (l.relpages + coalesce(t.relpages, 0)) * l.block as bytes,
      l.block * (
        pg_catalog.ceil(l.reltuples::numeric * (4 + 8 * pg_catalog.ceil(
            (23 + case when w.has_nulls then (l.relnatts + 7) / 8 else 0 end) / 8.0)
          + 8 * pg_catalog.ceil(w.data::numeric / 8)) / ((l.block - 24) * l.fillfactor / 100))
        + case when t.reltuples >= 0 then pg_catalog.ceil(t.reltuples::numeric / 4) else coalesce(t.relpages, 0) end
      ) as needed
    from large l
    join width w on w.oid = l.oid
    left join pg_catalog.pg_class t on t.oid = l.reltoastrelid
  )`;
