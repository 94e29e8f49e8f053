import type { Queryable } from '../queryable.js';

/** A table as somebody sees it who copies its rows into another database. */
export interface StreamableTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** With its schema, and quoted. */
  readonly quotedName: string;
  /** By name, in their order; generated ones are computed again. */
  readonly columns: readonly string[];
  /** Whether the binary form of every column means the same in every database. */
  readonly isPortable: boolean;
  /** With its TOAST; indexes are not counted. */
  readonly bytes: number;
  readonly indexBytes: number;
  /** Of the table itself, without its TOAST. */
  readonly pages: number;
  /** Whether rows have their places in pages, as in PostgreSQL's own kind of table. */
  readonly isHeap: boolean;
  readonly isPartition: boolean;
  /** Whether others inherit from it. */
  readonly isParent: boolean;
  /** The extension that it belongs to. */
  readonly extension: string | null;
  /** Which rows of a table of an extension are the users': a condition, or nothing for all. `null`: no extension's. */
  readonly extensionRows: string | null;
}

/**
 * The tables whose rows a copy has to bring: ordinary tables and partitions, and of the tables of extensions those that the
 * extension says are for the users' own rows, as in pg_dump.
 */
export async function readStreamableTables(db: Queryable): Promise<readonly StreamableTable[]> {
  const { rows } = await db.query<StreamableTable>(TABLES);
  return rows;
}

/**
 * Types whose binary form has oids in it (arrays, composites, `regclass` and its like), or that have none; what users and
 * extensions define may do both. What is built in has fixed oids below 10,000. Domains, ranges and arrays are as what
 * they are made of; enums are sent by their labels. The binary form of xml names its encoding, and is not what was stored.
 */
const UNPORTABLE = `
  select t.oid from pg_catalog.pg_type t
  where t.typtype in ('c', 'p') or t.typsend = 0 or t.typreceive = 0
    or (t.typtype = 'b' and (t.oid >= 10000 or t.typname ~ '^reg' or t.typname = 'xml'))
  union
  select m.oid from unportable u join made_of m on m.part = u.oid`;

// every table has two types: what compares each with each takes minutes where there are thousands of tables
const MADE_OF = `
  select t.oid, t.typbasetype from pg_catalog.pg_type t where t.typtype = 'd'
  union all select t.oid, t.typelem from pg_catalog.pg_type t where t.typtype = 'b' and t.typlen = -1 and t.typelem <> 0
  union all select r.rngtypid, r.rngsubtype from pg_catalog.pg_range r
  union all select r.rngmultitypid, r.rngsubtype from pg_catalog.pg_range r`;

const TABLES = `
  with recursive made_of (oid, part) as (${MADE_OF}),
  unportable (oid) as (${UNPORTABLE}),
  columns_of (relation, columns, portable) as (
    select a.attrelid, pg_catalog.array_agg(a.attname::text order by a.attnum), pg_catalog.bool_and(u.oid is null)
    from pg_catalog.pg_attribute a
    left join unportable u on u.oid = a.atttypid
    where a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    group by a.attrelid
  ),
  of_extensions (oid, extension, condition) as (
    select x.oid, e.extname::text, x.condition from pg_catalog.pg_extension e
    cross join lateral rows from (pg_catalog.unnest(e.extconfig), pg_catalog.unnest(e.extcondition)) x (oid, condition)
  )
  select c.oid, n.nspname::text as schema, c.relname::text as name,
    pg_catalog.format('%I.%I', n.nspname, c.relname) as "quotedName",
    coalesce(k.columns, '{}') as columns, coalesce(k.portable, true) as "isPortable",
    coalesce(pg_catalog.pg_table_size(c.oid), 0)::float8 as bytes,
    coalesce(pg_catalog.pg_indexes_size(c.oid), 0)::float8 as "indexBytes",
    (coalesce(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::int8)::float8 as pages,
    m.amhandler = 'pg_catalog.heap_tableam_handler'::pg_catalog.regproc as "isHeap",
    c.relispartition as "isPartition",
    exists (select from pg_catalog.pg_inherits i where i.inhparent = c.oid) as "isParent",
    x.extension, x.condition as "extensionRows"
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_am m on m.oid = c.relam
  left join of_extensions x on x.oid = c.oid
  left join columns_of k on k.relation = c.oid
  where c.relkind = 'r' and c.relpersistence <> 't'
    and (x.oid is not null or (n.nspname <> 'information_schema' and n.nspname !~ '^pg_' and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0
        and d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and d.deptype = 'e')))
  order by n.nspname, c.relname`;
