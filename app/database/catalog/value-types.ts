import type { Queryable } from '../queryable.js';
import { withQualifiedNames } from './qualified-names.js';

/** A type, as far as one has to know it to write a value of it. */
export interface ValueType {
  readonly oid: number;
  /** As PostgreSQL writes it, with its schema. */
  readonly name: string;
  /** The name in pg_catalog, or `null` for a type that did not come with PostgreSQL. */
  readonly builtIn: string | null;
  readonly kind: 'base' | 'array' | 'composite' | 'domain' | 'enum' | 'range' | 'multirange' | 'other';
  /** pg_type.typcategory: S for texts, N for numbers, … */
  readonly category: string;
  /** Of an array its element, of a domain its base, of a range its subtype, of a multirange its range. */
  readonly inner: { readonly oid: number; readonly modifier: number } | null;
  readonly labels: readonly string[];
  readonly attributes: readonly { readonly oid: number; readonly modifier: number }[];
  readonly isNullable: boolean;
  /** Of a domain: expressions over `VALUE`. */
  readonly checks: readonly string[];
}

/** The types `oids` and those of which they are made. */
export async function readValueTypes(db: Queryable, oids: readonly number[]): Promise<readonly ValueType[]> {
  const { rows } = await db.query<ValueType>(VALUE_TYPES, [oids]);
  return rows;
}

/** Not int2vector and oidvector, which are arrays with a text form of their own. */
const IS_ARRAY = `
  exists (select from pg_catalog.pg_type element where element.oid = t.typelem and element.typarray = t.oid)`;

const VALUE_TYPES = withQualifiedNames(
  `
  with recursive used (oid) as (
    select pg_catalog.unnest($1::pg_catalog.oid[])
    union
    select part.oid from used join pg_catalog.pg_type t on t.oid = used.oid cross join lateral (
      select t.typbasetype where t.typtype = 'd'
      union all select t.typelem where ${IS_ARRAY}
      union all select r.rngsubtype from pg_catalog.pg_range r where r.rngtypid = t.oid
      union all select r.rngtypid from pg_catalog.pg_range r where r.rngmultitypid = t.oid
      union all select a.atttypid from pg_catalog.pg_attribute a
        where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ) part (oid)
  )
  select t.oid, pg_catalog.format_type(t.oid, null) as name,
    case when t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace then t.typname::text end as "builtIn",
    case when ${IS_ARRAY} then 'array' else
      case t.typtype when 'b' then 'base' when 'c' then 'composite' when 'd' then 'domain' when 'e' then 'enum'
        when 'r' then 'range' when 'm' then 'multirange' else 'other' end end as kind,
    t.typcategory as category,
    case
      when t.typtype = 'd' then pg_catalog.jsonb_build_object('oid', t.typbasetype::int8, 'modifier', t.typtypmod)
      when ${IS_ARRAY}
        then pg_catalog.jsonb_build_object('oid', t.typelem::int8, 'modifier', -1)
      when t.typtype in ('r', 'm') then (
        select pg_catalog.jsonb_build_object('oid',
          (case t.typtype when 'r' then r.rngsubtype else r.rngtypid end)::int8, 'modifier', -1)
        from pg_catalog.pg_range r where t.oid in (r.rngtypid, r.rngmultitypid))
    end as "inner",
    array(select e.enumlabel::text from pg_catalog.pg_enum e where e.enumtypid = t.oid order by e.enumsortorder) as labels,
    coalesce((
      select pg_catalog.jsonb_agg(
        pg_catalog.jsonb_build_object('oid', a.atttypid::int8, 'modifier', a.atttypmod) order by a.attnum)
      from pg_catalog.pg_attribute a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ), '[]') as attributes,
    not t.typnotnull as "isNullable",
    array(
      select pg_catalog.pg_get_expr(con.conbin, 0) from pg_catalog.pg_constraint con
      where con.contypid = t.oid and con.contype = 'c'
    ) as checks
  from used join pg_catalog.pg_type t on t.oid = used.oid`,
  'oid',
);
