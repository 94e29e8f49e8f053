import type { Queryable } from '../queryable.js';
import { withQualifiedNames } from './qualified-names.js';

export interface WritableColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typeModifier: number;
  /** As PostgreSQL writes it, with its schema. */
  readonly type: string;
  readonly isNullable: boolean;
  readonly default: string | null;
  readonly identity: 'always' | 'by default' | null;
  /** The expression that generates it. */
  readonly generated: string | null;
}

/** A relation into which a row may have to be written. */
export interface WritableRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** relkind: r table, p partitioned table, v view, f foreign table. */
  readonly kind: 'r' | 'p' | 'v' | 'f';
  readonly columns: readonly WritableColumn[];
  /** Of a view: the tables from which it selects. */
  readonly sources: readonly number[];
  /** Conditions that a new row has to meet besides its constraints: of its partition, of row-level security. */
  readonly conditions: readonly string[];
  /** Of a partitioned table: the condition of each of its leaves, of the first hundred. */
  readonly routes: readonly string[];
}

/** The relations `oids`, and all that rows in them need: those to which foreign keys refer, and the tables of views. */
export async function readWritableRelations(
  db: Queryable,
  oids: readonly number[],
): Promise<readonly WritableRelation[]> {
  const { rows } = await db.query<WritableRelation>(WRITABLE_RELATIONS, [oids]);
  return rows;
}

const SOURCES = `
  select distinct d.refobjid as oid
  from pg_catalog.pg_rewrite rule
  join pg_catalog.pg_depend d
    on d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass and d.objid = rule.oid
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass`;

const WRITABLE_RELATIONS = withQualifiedNames(
  `
  with recursive reachable (oid) as (
    select pg_catalog.unnest($1::pg_catalog.oid[])
    union
    select next.oid from reachable cross join lateral (
      select con.confrelid from pg_catalog.pg_constraint con where con.conrelid = reachable.oid and con.contype = 'f'
      union all
      ${SOURCES} where rule.ev_class = reachable.oid and d.refobjid <> reachable.oid
    ) next (oid)
  )
  select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind as kind,
    coalesce((
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'name', a.attname, 'typeOid', a.atttypid::int8, 'typeModifier', a.atttypmod,
        'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'isNullable', not a.attnotnull,
        'default', case when a.attgenerated = '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end,
        'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end,
        'generated', case when a.attgenerated <> '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end
      ) order by a.attnum)
      from pg_catalog.pg_attribute a
      left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    ), '[]') as columns,
    array(${SOURCES} where rule.ev_class = c.oid and d.refobjid <> c.oid) as sources,
    pg_catalog.array_remove(array[
      case when c.relispartition then pg_catalog.pg_get_partition_constraintdef(c.oid) end,
      case when pg_catalog.row_security_active(c.oid) then coalesce((
        select pg_catalog.string_agg(coalesce(
          pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid), pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'true'), ' or ')
        from pg_catalog.pg_policy p where p.polrelid = c.oid and p.polpermissive and p.polcmd in ('a', '*')
      ), 'false') end
    ], null) as conditions,
    case when c.relkind = 'p' then array(
      select pg_catalog.pg_get_partition_constraintdef(leaf.relid)
      from pg_catalog.pg_partition_tree(c.oid) leaf where leaf.isleaf and leaf.relid <> c.oid
      order by leaf.level, leaf.relid::pg_catalog.oid limit 100
    ) else '{}' end as routes
  from reachable
  join pg_catalog.pg_class c on c.oid = reachable.oid and c.relkind in ('r', 'p', 'v', 'f')
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace`,
  'oid',
);
