import type { Queryable } from '../queryable.js';
import type { TableName } from './rows-at-stake.js';

/** A column in whose values there are values of a type, whatever is around them. */
export interface ColumnOfType extends TableName {
  readonly column: string;
  /** `false`: a materialized view, which nobody can lock. */
  readonly isTable: boolean;
}

/**
 * The columns that hold values of a composite type, or rows of a table as values: also in domains, arrays, other composites,
 * ranges and multiranges, and in rows of other tables. Rows of what inherits from a table have its columns, too. Partitions
 * are looked at through their table.
 *
 * @param relation the name of the type, or of the table
 */
export async function readColumnsOfType(db: Queryable, { schema, name }: TableName): Promise<ColumnOfType[]> {
  const { rows } = await db.query<ColumnOfType>(COLUMNS, [schema, name]);
  return rows;
}

const COLUMNS = `
  with recursive relations (oid) as (
    select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname = $2
    union
    select i.inhrelid from relations join pg_catalog.pg_inherits i on i.inhparent = relations.oid
  ),
  wholes (part, whole) as (
    select t.oid, t.typarray from pg_catalog.pg_type t where t.typarray <> 0
    union all
    select t.typbasetype, t.oid from pg_catalog.pg_type t where t.typtype = 'd'
    union all
    select r.rngsubtype, r.rngtypid from pg_catalog.pg_range r
    union all
    select r.rngtypid, r.rngmultitypid from pg_catalog.pg_range r
    union all
    select a.atttypid, c.reltype from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
    where a.attnum > 0 and not a.attisdropped and c.reltype <> 0
  ),
  types (oid) as (
    select c.reltype from relations join pg_catalog.pg_class c on c.oid = relations.oid where c.reltype <> 0
    union
    select w.whole from types join wholes w on w.part = types.oid
  )
  select n.nspname::text as schema, c.relname::text as name, a.attname::text as column, c.relkind <> 'm' as "isTable"
  from types
  join pg_catalog.pg_attribute a on a.atttypid = types.oid and a.attnum > 0 and not a.attisdropped
  join pg_catalog.pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p', 'm') and not c.relispartition
    and (c.relpersistence <> 't' or c.relnamespace = pg_catalog.pg_my_temp_schema())
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  order by 1, 2, 3`;
