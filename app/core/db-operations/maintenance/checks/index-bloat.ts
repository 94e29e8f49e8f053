import type { RunCheck } from '../check.js';
import { checkBloat } from './bloat.js';

/** An estimate of B-tree indexes from the statistics: it reads none of them. */
export const checkIndexBloat: RunCheck = (db) => checkBloat(db, 'indexes', INDEX_BLOAT);

/*
 * After the approach of https://github.com/ioguix/pgsql-bloat-estimation: an entry takes a line pointer of 4 bytes, a header
 * of 8, or of 16 where a column may be null, and its columns, aligned to 8 bytes; a page has a header of 24 and 16 bytes at
 * its end, and is filled up to the fillfactor, 90 by default. Entries of equal keys, which share theirs since PostgreSQL 13,
 * make an index smaller than that: of such, too little is found, never too much. A column of the type name is stored
 * otherwise than its statistics say. A partial index may have none of the nulls that the statistics count in the whole table.
 */
const INDEX_BLOAT = `
  with large as (
    select i.oid, i.relname as index, n.nspname, c.relname as "table", x.indrelid, x.indkey, x.indnatts, x.indpred is not null as is_partial, i.reltuples, i.relpages,
      i.relispartition, pg_catalog.current_setting('block_size')::numeric as block,
      coalesce((select o.option_value::int from pg_catalog.pg_options_to_table(i.reloptions) o where o.option_name = 'fillfactor'), 90)
        as fillfactor
    from pg_catalog.pg_index x
    join pg_catalog.pg_class i on i.oid = x.indexrelid
    join pg_catalog.pg_class c on c.oid = x.indrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_am m on m.oid = i.relam and m.amname = 'btree'
    where i.relkind = 'i' and x.indisvalid and i.reltuples >= 0
      and i.relpages::numeric * pg_catalog.current_setting('block_size')::int >= $1
      and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'
  ), width as (
    select l.oid, pg_catalog.count(*) = pg_catalog.count(s.avg_width)
        and pg_catalog.bool_and(a.atttypid <> 'pg_catalog.name'::pg_catalog.regtype) as is_known,
      coalesce(pg_catalog.max(s.null_frac), 0) > 0 as has_nulls,
      pg_catalog.sum(case when l.is_partial then 1 else 1 - s.null_frac end * s.avg_width) as data
    from large l
    join pg_catalog.pg_attribute a on a.attrelid = l.oid and a.attnum > 0
    left join pg_catalog.pg_attribute own on own.attrelid = l.indrelid and own.attnum = l.indkey[a.attnum - 1] and own.attnum > 0
    left join pg_catalog.pg_stats s on s.schemaname = l.nspname and not s.inherited
      and s.tablename = case when own.attnum is null then l.index else l."table" end
      and s.attname = coalesce(own.attname, a.attname)
    group by l.oid
  ), estimate as (
    select case when l.relispartition then pg_catalog.pg_partition_root(l.oid)::oid else l.oid end as root, w.is_known,
      l.relpages * l.block as bytes,
      l.block * (1 + pg_catalog.ceil(l.reltuples::numeric / greatest(1, pg_catalog.floor((l.block - 40) * l.fillfactor / 100
        / (4 + case when w.has_nulls then 16 else 8 end + 8 * pg_catalog.ceil(w.data::numeric / 8)))))) as needed
    from large l
    join width w on w.oid = l.oid
  )`;
