import type { Queryable } from '../queryable.js';

export interface AuditableColumn {
  readonly name: string;
  /** As format_type writes it under an empty search_path. */
  readonly type: string;
  /** Whether PostgreSQL's own `=` tells every two values of it apart: not 1.0 from 1.00, nor one interval from another. */
  readonly isComparable: boolean;
}

/** A table with rows of its own, or the root of its partitions. */
export interface AuditableTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly AuditableColumn[];
  /** The primary key, else a unique key that is never null; empty where there is none. */
  readonly key: readonly string[];
  /** Partitions of all levels. */
  readonly partitions: readonly { readonly schema: string; readonly name: string }[];
  /** In a tree of inheritance, or filled by a subscription: where only row triggers see everything. */
  readonly needsRowTriggers: boolean;
}

/**
 * The ordinary and partitioned tables of the application, or those that `tables` belong to; partitions are with their
 * root. Under an empty search_path.
 */
export async function readAuditableTables(
  db: Queryable,
  tables: readonly number[] | null,
): Promise<readonly AuditableTable[]> {
  const { rows } = await db.query<AuditableTable>(
    `
    with recursive tree (root, oid) as (
      select c.oid, c.oid from pg_catalog.pg_class c where c.relkind = 'p' and not c.relispartition
      union all
      select tree.root, i.inhrelid from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid
    ),
    keys as (
      select distinct on (i.indrelid) i.indrelid, array(
        select a.attname::text from pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
        join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where k.n <= i.indnkeyatts order by k.n) as columns
      from pg_catalog.pg_index i
      where i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
        and not exists (
          select from pg_catalog.unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
          join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
          where k.n <= i.indnkeyatts and not a.attnotnull)
      order by i.indrelid, i.indisprimary desc, i.indisreplident desc, i.indexrelid
    )
    select n.nspname as schema, c.relname as name, coalesce(keys.columns, '{}') as key,
      (select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, null),
          'isComparable', t.typname in ('int2', 'int4', 'int8', 'oid', 'bool', 'date', 'timestamp', 'timestamptz', 'uuid', 'bytea')
            and t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
            or t.typname in ('text', 'varchar') and t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
              and l.collisdeterministic
        ) order by a.attnum)
       from pg_catalog.pg_attribute a
       join pg_catalog.pg_type t on t.oid = a.atttypid
       left join pg_catalog.pg_collation l on l.oid = a.attcollation
       where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
      coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('schema', pn.nspname, 'name', p.relname) order by pn.nspname, p.relname)
        from tree join pg_catalog.pg_class p on p.oid = tree.oid join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
        where tree.root = c.oid and tree.oid <> c.oid and p.relkind in ('r', 'p')), '[]') as partitions,
      (c.relkind = 'r' and exists (
        select from pg_catalog.pg_inherits i where i.inhparent = c.oid or i.inhrelid = c.oid))
        or exists (select from pg_catalog.pg_subscription_rel s where s.srrelid = c.oid) as "needsRowTriggers"
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join keys on keys.indrelid = c.oid
    where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'manage_db')
      and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e')
      and exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)
      and ($1::pg_catalog.oid[] is null or c.oid = any ($1) or c.oid in (select tree.root from tree where tree.oid = any ($1)))
    order by n.nspname, c.relname`,
    [tables],
  );
  return rows;
}
