import type { Queryable } from '../queryable.js';
import { withQualifiedNames } from './qualified-names.js';

/** What a row of a relation has to satisfy. */
export type RowConstraint =
  | {
      readonly kind: 'check';
      readonly relationOid: number;
      readonly columns: readonly string[];
      readonly expression: string;
    }
  | {
      readonly kind: 'foreign key';
      readonly relationOid: number;
      readonly columns: readonly string[];
      readonly targetOid: number;
      readonly targetColumns: readonly string[];
    }
  /** Also an exclusion constraint, and with the columns of its expressions. */
  | { readonly kind: 'unique'; readonly relationOid: number; readonly columns: readonly string[] };

/** The constraints of the relations `oids` that are enforced. */
export async function readRowConstraints(db: Queryable, oids: readonly number[]): Promise<readonly RowConstraint[]> {
  const { rows } = await db.query<RowConstraint>(ROW_CONSTRAINTS, [oids]);
  return rows;
}

const columnsOf = (relation: string, numbers: string): string => `
  array(
    select a.attname::text from pg_catalog.unnest(${numbers}) with ordinality as u (attnum, place)
    join pg_catalog.pg_attribute a on a.attrelid = ${relation} and a.attnum = u.attnum
    order by u.place
  )`;

// conenforced came with PostgreSQL 18, hence the detour through jsonb. A key that refers to a partitioned table has a copy
// for each partition, which asks for nothing of its own
const ROW_CONSTRAINTS = withQualifiedNames(
  `
  select case con.contype when 'c' then 'check' else 'foreign key' end as kind, con.conrelid as "relationOid",
    ${columnsOf('con.conrelid', 'con.conkey')} as columns,
    pg_catalog.pg_get_expr(con.conbin, con.conrelid) as expression,
    nullif(con.confrelid, 0) as "targetOid", ${columnsOf('con.confrelid', 'con.confkey')} as "targetColumns"
  from pg_catalog.pg_constraint con
  where con.conrelid = any ($1::pg_catalog.oid[]) and con.contype in ('c', 'f')
    and coalesce((pg_catalog.to_jsonb(con) ->> 'conenforced')::boolean, true)
    and not exists (
      select from pg_catalog.pg_constraint parent where parent.oid = con.conparentid and parent.conrelid = con.conrelid
    )
  union all
  select 'unique', i.indrelid,
    array(
      select a.attname::text from pg_catalog.pg_attribute a
      where a.attrelid = i.indrelid and a.attnum > 0 and (
        a.attnum = any (i.indkey::int2[]) or exists (
          select from pg_catalog.pg_depend d
          where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = i.indexrelid
            and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = i.indrelid
            and d.refobjsubid = a.attnum
        )
      )
    ), null, null, null
  from pg_catalog.pg_index i
  where i.indrelid = any ($1::pg_catalog.oid[]) and (i.indisunique or i.indisexclusion)`,
  '"relationOid", kind, columns',
);
