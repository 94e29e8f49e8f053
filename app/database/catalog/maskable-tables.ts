import type { Queryable } from '../queryable.js';
import { notFromExtension } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';

/** A type without the domains around it. */
export interface PlainType {
  /** With its schema, also pg_catalog, and its length: under every search_path it is this one. */
  readonly sql: string;
  /** pg_type.typname: `varchar`, `int4`, `citext`. */
  readonly name: string;
  /** Whether it came with PostgreSQL, or is citext. */
  readonly isKnown: boolean;
  /** The most characters that a value may have. */
  readonly limit: number | null;
}

export interface MaskableColumn extends PlainType {
  readonly column: string;
  /** As it is declared, domains included. */
  readonly declared: string;
  readonly isArray: boolean;
  /** Of an array, what is in it. */
  readonly element: PlainType | null;
  readonly isNullable: boolean;
  readonly isEnum: boolean;
  /** Whether its type is a domain, and whether no function of users takes part in what that demands. */
  readonly domain: { readonly isBuiltIn: boolean } | null;
  /** Whether texts that differ can be equal. */
  readonly isAmbiguous: boolean;
  /** Whether it decides in which partition a row is. */
  readonly isPartitionKey: boolean;
}

export interface GeneratedColumn {
  readonly column: string;
  readonly expression: string;
  /** Whether it calls no function that users have made. */
  readonly isBuiltIn: boolean;
}

/** A table whose rows are copied, or the root of the partitions that hold them. */
export interface MaskableTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly isPartitioned: boolean;
  /** In the order of the table, without the generated ones. */
  readonly columns: readonly MaskableColumn[];
  readonly generated: readonly GeneratedColumn[];
  /** The partitions that hold rows, of all levels. */
  readonly partitions: readonly { readonly schema: string; readonly name: string }[];
  /** The planner's estimate. */
  readonly rowEstimate: number;
}

/** All tables of users that have rows of their own; not those of extensions, of manage_db itself, and temporary ones. */
export async function readMaskableTables(db: Queryable): Promise<readonly MaskableTable[]> {
  const { rows } = await db.query<MaskableTable>(MASKABLE_TABLES);
  return rows;
}

/** The condition that `what` (of `catalog`) calls no function and no operator that users have made. */
export function callsNothingOfUsers(catalog: string, what: string): string {
  return `
    not exists (
      select from pg_catalog.pg_depend used
      where used.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and used.objid = ${what}
        and used.refclassid in ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)
        and not exists (
          select from pg_catalog.pg_depend member
          where member.classid = used.refclassid and member.objid = used.refobjid and member.deptype = 'e'))`;
}

/** The last row is the type behind the domains. */
const unwrapped = (type: string, modifier: string): string => `
  (with recursive layer (oid, modifier, base, depth, is_not_null) as (
     select t.oid, ${modifier}, t.typbasetype, 0, t.typnotnull from pg_catalog.pg_type t where t.oid = ${type}
     union all
     select t.oid, d.typtypmod, t.typbasetype, layer.depth + 1, layer.is_not_null or t.typnotnull
     from layer join pg_catalog.pg_type d on d.oid = layer.oid join pg_catalog.pg_type t on t.oid = layer.base
   )
   select layer.* from layer where layer.base = 0)`;

const described = (type: string, modifier: string): string => `
  'sql', case when ${type}.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
    then pg_catalog.concat('pg_catalog.', pg_catalog.quote_ident(${type}.typname),
      pg_catalog.substring(pg_catalog.format_type(${type}.oid, ${modifier}), '[(][0-9,-]+[)]'))
    else pg_catalog.format_type(${type}.oid, ${modifier}) end,
  'name', ${type}.typname,
  'isKnown', ${type}.typnamespace = 'pg_catalog'::pg_catalog.regnamespace or (${type}.typname = 'citext' and exists (
    select from pg_catalog.pg_depend m where m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and m.objid = ${type}.oid and m.deptype = 'e')),
  'limit', case when ${type}.typname in ('varchar', 'bpchar') and ${modifier} > 4 then ${modifier} - 4
    when ${type}.typname = 'name' then 63 end`;

// until PostgreSQL 14, what generates a column is a dependency of the column, not of its expression
const MASKABLE_TABLES = withQualifiedNames(
  `
  with tree as (
    select p.oid, pg_catalog.pg_partition_root(p.oid)::pg_catalog.oid as root, p.relkind, p.relname, p.reltuples, n.nspname
    from pg_catalog.pg_class p join pg_catalog.pg_namespace n on n.oid = p.relnamespace
    where p.relispartition or p.relkind = 'p'
  ),
  -- also the columns of expressions; the parts of a key belong to it
  key_columns as (
    select distinct tree.root, a.attname
    from tree
    join pg_catalog.pg_depend d
      on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = tree.oid and d.objsubid > 0
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = tree.oid and d.refobjsubid = 0
      and d.deptype = 'i'
    join pg_catalog.pg_attribute a on a.attrelid = tree.oid and a.attnum = d.objsubid
    where tree.relkind = 'p'
  )
  select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind = 'p' as "isPartitioned",
    coalesce((
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'column', a.attname,
        'declared', pg_catalog.format_type(a.atttypid, a.atttypmod),
        ${described('base', 'plain.modifier')},
        'isArray', element.oid is not null,
        'element', case when element.oid is not null then pg_catalog.jsonb_build_object(${described('element', 'inside.modifier')}) end,
        'isNullable', not (a.attnotnull or plain.is_not_null),
        'isEnum', base.typtype = 'e',
        'domain', case when declared.typtype = 'd' then pg_catalog.jsonb_build_object('isBuiltIn', not exists (
          with recursive layer (oid, base) as (
            select declared.oid, declared.typbasetype
            union all select t.oid, t.typbasetype from layer join pg_catalog.pg_type t on t.oid = layer.base
          )
          select from layer join pg_catalog.pg_constraint con on con.contypid = layer.oid
          where not ${callsNothingOfUsers('pg_constraint', 'con.oid')})) end,
        'isAmbiguous', base.typname = 'citext' or coalesce(not l.collisdeterministic, false),
        'isPartitionKey', exists (select from key_columns k where k.root = c.oid and k.attname = a.attname)
      ) order by a.attnum)
      from pg_catalog.pg_attribute a
      join pg_catalog.pg_type declared on declared.oid = a.atttypid
      cross join lateral ${unwrapped('a.atttypid', 'a.atttypmod')} plain
      join pg_catalog.pg_type base on base.oid = plain.oid
      left join lateral ${unwrapped(`(select e.oid from pg_catalog.pg_type e where e.oid = base.typelem and e.typarray = base.oid)`, 'plain.modifier')} inside on true
      left join pg_catalog.pg_type element on element.oid = inside.oid
      left join pg_catalog.pg_collation l on l.oid = a.attcollation
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ), '[]') as columns,
    coalesce((
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'column', a.attname, 'expression', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
        'isBuiltIn', ${callsNothingOfUsers('pg_attrdef', 'd.oid')}
          and ${callsNothingOfUsers('pg_class', 'a.attrelid and used.objsubid = a.attnum')}) order by a.attnum)
      from pg_catalog.pg_attribute a join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated <> ''
    ), '[]') as generated,
    coalesce((
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('schema', leaf.nspname, 'name', leaf.relname) order by leaf.nspname, leaf.relname)
      from tree leaf where leaf.root = c.oid and leaf.relkind = 'r'
    ), '[]') as partitions,
    case when c.relkind = 'p'
      then coalesce((select pg_catalog.sum(greatest(leaf.reltuples, 0)) from tree leaf where leaf.root = c.oid and leaf.relkind = 'r'), 0)
      else greatest(c.reltuples, 0) end::pg_catalog.float8 as "rowEstimate"
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
    and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db')
    and ${notFromExtension('c', 'pg_class')}`,
  'schema, name',
);
