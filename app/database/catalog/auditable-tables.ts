import type { Queryable } from '../queryable.js';

export interface AuditableColumn {
  readonly name: string;
  /** Name and type as they are compared with those of the live table: `"a b" numeric`. */
  readonly signature: string;
  /** Without length, as format_type writes it under an empty search_path. */
  readonly type: string;
  /** PostgreSQL's own type, or a domain over one: making JSON or text of it calls nobody's cast. */
  readonly isBuiltIn: boolean;
  /** Whether PostgreSQL's own `=` tells every two values of it apart: not 1.0 from 1.00, nor one interval from another. */
  readonly isComparable: boolean;
  /** Of type json, which holds values that jsonb refuses. */
  readonly isJson: boolean;
}

/** Columns that no two rows have in common, and that are never null. */
export interface AuditableKey {
  readonly columns: readonly string[];
  /** Two rows may have it in common until the end of a transaction. */
  readonly isDeferrable: boolean;
}

/** A table with rows of its own, or the root of its partitions. */
export interface AuditableTable {
  readonly schema: string;
  readonly name: string;
  /** In order; without virtual columns, which triggers do not see. */
  readonly columns: readonly AuditableColumn[];
  /** The primary key first. */
  readonly keys: readonly AuditableKey[];
  readonly isPartitioned: boolean;
  /** Partitions of all levels. */
  readonly partitions: readonly { readonly schema: string; readonly name: string; readonly isPartitioned: boolean }[];
  /** In a tree of inheritance, or filled by a subscription: where only row triggers see everything. */
  readonly needsRowTriggers: boolean;
}

/** The first oid that is not PostgreSQL's own (FirstNormalObjectId). */
export const FIRST_OWN_OID = 16_384;

/** Needs `a`, a row of pg_attribute: the type behind the domains. */
export const BASE_TYPE = `(
    with recursive domain (oid, base) as (
      select t.oid, t.typbasetype from pg_catalog.pg_type t where t.oid = a.atttypid
      union all
      select t.oid, t.typbasetype from domain join pg_catalog.pg_type t on t.oid = domain.base
    )
    select domain.oid from domain where domain.base = 0)`;

/** Needs `a`: name and type, in a way that no two columns have in common. */
export const COLUMN_SIGNATURE = `pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, null))`;

/** Needs `a`: a column that triggers see. */
export const IS_SEEN = `a.attnum > 0 and not a.attisdropped and a.attgenerated <> 'v'`;

/** Needs `i`, a row of pg_index: the names of its key columns, in order. */
export const KEY_COLUMNS = `array(
        select k.attname::text from pg_catalog.unnest(i.indkey::int2[]) with ordinality as u (attnum, n)
        join pg_catalog.pg_attribute k on k.attrelid = i.indrelid and k.attnum = u.attnum
        where u.n <= i.indnkeyatts order by u.n)`;

/** Needs `i`: whether it can tell the rows of its table apart. */
export const IS_KEY = `i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null`;

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
    parts as (
      select tree.root, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('schema', pn.nspname, 'name', p.relname, 'isPartitioned', p.relkind = 'p')
        order by pn.nspname, p.relname) as partitions
      from tree join pg_catalog.pg_class p on p.oid = tree.oid join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
      where tree.oid <> tree.root and p.relkind in ('r', 'p')
      group by tree.root
    )
    select n.nspname as schema, c.relname as name, c.relkind = 'p' as "isPartitioned",
      coalesce((
        select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('columns', ${KEY_COLUMNS}, 'isDeferrable', not i.indimmediate)
          -- by name: a dump makes them in another order
          order by i.indisprimary desc, i.indimmediate desc, i.indisreplident desc, named.relname)
        from pg_catalog.pg_index i join pg_catalog.pg_class named on named.oid = i.indexrelid
        where i.indrelid = c.oid and ${IS_KEY} and not exists (
          select from pg_catalog.unnest(i.indkey::int2[]) with ordinality as u (attnum, n)
          join pg_catalog.pg_attribute k on k.attrelid = i.indrelid and k.attnum = u.attnum
          -- a trigger that fires before the row does not know what will be generated
          where u.n <= i.indnkeyatts and (not k.attnotnull or k.attgenerated <> ''))), '[]') as keys,
      (select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, null), 'signature', ${COLUMN_SIGNATURE},
          'isBuiltIn', base.oid < ${FIRST_OWN_OID}, 'isJson', base.oid in ('json'::pg_catalog.regtype, 'json[]'::pg_catalog.regtype),
          'isComparable', t.oid = any (${COMPARABLE})
            or t.oid in ('text'::pg_catalog.regtype, 'varchar'::pg_catalog.regtype) and l.collisdeterministic
        ) order by a.attnum)
       from pg_catalog.pg_attribute a
       join pg_catalog.pg_type t on t.oid = a.atttypid
       cross join lateral ${BASE_TYPE} base
       left join pg_catalog.pg_collation l on l.oid = a.attcollation
       where a.attrelid = c.oid and ${IS_SEEN}) as columns,
      coalesce(parts.partitions, '[]') as partitions,
      (c.relkind = 'r' and exists (
        select from pg_catalog.pg_inherits i where i.inhparent = c.oid or i.inhrelid = c.oid))
        or exists (select from pg_catalog.pg_subscription_rel s where s.srrelid = c.oid) as "needsRowTriggers"
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join parts on parts.root = c.oid
    where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'manage_db')
      and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e')
      and exists (select from pg_catalog.pg_attribute a where a.attrelid = c.oid and ${IS_SEEN})
      and ($1::pg_catalog.oid[] is null or c.oid = any ($1) or c.oid in (select tree.root from tree where tree.oid = any ($1)))
    order by n.nspname, c.relname`,
    [tables],
  );
  return rows;
}

const COMPARABLE = `'{int2,int4,int8,oid,bool,date,timestamp,timestamptz,uuid,bytea}'::pg_catalog.regtype[]`;
