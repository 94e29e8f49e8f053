import type { Queryable } from '../queryable.js';

/** A column that two tables do not have alike. */
export interface ColumnDifference {
  readonly position: number;
  readonly name: string;
  /** `null`: the first table does not have it. */
  readonly first: ColumnInWords | null;
  readonly second: ColumnInWords | null;
}

export interface ColumnInWords {
  /** With its modifiers and schema; its collation where it is not the type's own. */
  readonly type: string;
  /** The expression that it is computed by; `null`: it holds what is written. */
  readonly generated: string | null;
  /** Whether rows without a value for it can be written. */
  readonly isOptional: boolean;
}

/**
 * Columns that differ between the tables of each pair, in what matters to their rows: name, type, collation, and how they
 * are generated. Whatever their order. A column without a counterpart is listed, too.
 */
export async function readColumnDifferences(
  db: Queryable,
  pairs: readonly { readonly first: number; readonly second: number }[],
): Promise<readonly ColumnDifference[]> {
  const values = [pairs.map(({ first }) => first), pairs.map(({ second }) => second)];
  const { rows } = await db.query<ColumnDifference>(DIFFERENCES, values);
  return rows;
}

const DIFFERENCES = `
  with pair as (
    select p.first, p.second, p.position
    from rows from (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::oid[])) with ordinality p (first, second, position)
  ),
  described as (
    select a.attrelid, a.attname, a.attnum, pg_catalog.jsonb_build_object(
      'type', pg_catalog.format_type(a.atttypid, a.atttypmod) || case when a.attcollation = t.typcollation then ''
        else pg_catalog.format(' collate %I.%I', cn.nspname, c.collname) end,
      'generated', case when a.attgenerated <> '' then a.attgenerated::text || pg_catalog.pg_get_expr(d.adbin, d.adrelid) end
    ) as description,
    not a.attnotnull or a.atthasdef or a.attidentity <> '' as is_optional
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_type t on t.oid = a.atttypid
    left join pg_catalog.pg_collation c on c.oid = a.attcollation
    left join pg_catalog.pg_namespace cn on cn.oid = c.collnamespace
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped
      and a.attrelid in (select pair.first from pair union all select pair.second from pair)
  ),
  one as (select pair.position, d.* from pair join described d on d.attrelid = pair.first),
  other as (select pair.position, d.* from pair join described d on d.attrelid = pair.second)
  select position::integer, attname::text as name,
    one.description || pg_catalog.jsonb_build_object('isOptional', one.is_optional) as first,
    other.description || pg_catalog.jsonb_build_object('isOptional', other.is_optional) as second
  from one full join other using (position, attname)
  where one.description is distinct from other.description
  order by position, coalesce(one.attnum, other.attnum)`;
