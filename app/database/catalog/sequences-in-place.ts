import type { Queryable } from '../queryable.js';
import type { TableName } from './rows-at-stake.js';

export interface ColumnName {
  readonly schema: string;
  readonly table: string;
  readonly column: string;
}

/** A sequence that is there, and where it is. */
export interface SequenceInPlace extends TableName {
  /** With its schema, and quoted. */
  readonly identity: string;
  /** The column that it belongs to: a serial, or an identity. */
  readonly owner: ColumnName | null;
  readonly start: string;
  readonly increment: string;
  readonly least: string;
  readonly most: string;
}

export interface Position {
  readonly last: string;
  readonly isCalled: boolean;
}

/** These sequences, and those of these columns. */
export async function readSequencesInPlace(
  db: Queryable,
  sequences: readonly TableName[],
  columns: readonly ColumnName[],
): Promise<SequenceInPlace[]> {
  const { rows } = await db.query<SequenceInPlace>(SEQUENCES, [
    sequences.map(({ schema }) => schema),
    sequences.map(({ name }) => name),
    columns.map(({ schema }) => schema),
    columns.map(({ table }) => table),
    columns.map(({ column }) => column),
  ]);
  return rows;
}

/** Where it is. */
export async function readPosition(db: Queryable, { identity }: SequenceInPlace): Promise<Position> {
  const { rows } = await db.query<Position>(
    `select s.last_value::text as last, s.is_called as "isCalled" from ${identity} s`,
  );
  const [position] = rows;
  if (position === undefined) throw new Error(`${identity} has no position`);
  return position;
}

/** Puts it at a position that is one of its own; unlike `setval` alone this is undone with the transaction. */
export async function putAt(db: Queryable, { identity }: SequenceInPlace, { last, isCalled }: Position): Promise<void> {
  await db.query(`alter sequence ${identity} restart with ${BigInt(last)}`);
  await db.query('select pg_catalog.setval($1::pg_catalog.regclass, $2::bigint, $3)', [identity, last, isCalled]);
}

const SEQUENCES = `
  with found as (
    select n.nspname::text as schema, s.relname::text as name, pg_catalog.format('%I.%I', n.nspname, s.relname) as identity,
      tn.nspname::text as of_schema, t.relname::text as of_table, a.attname::text as of_column,
      q.seqstart::text as start, q.seqincrement::text as increment, q.seqmin::text as least, q.seqmax::text as most
    from pg_catalog.pg_sequence q
    join pg_catalog.pg_class s on s.oid = q.seqrelid
    join pg_catalog.pg_namespace n on n.oid = s.relnamespace
    left join (pg_catalog.pg_depend d
        join pg_catalog.pg_class t on t.oid = d.refobjid
        join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
        join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid)
      on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = s.oid and d.objsubid = 0
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
  )
  select f.schema, f.name, f.identity, f.start, f.increment, f.least, f.most,
    case when f.of_table is not null then
      pg_catalog.json_build_object('schema', f.of_schema, 'table', f.of_table, 'column', f.of_column) end as owner
  from found f
  where (f.schema, f.name) in (
      select w.schema, w.name from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) w (schema, name))
    or (f.of_schema, f.of_table, f.of_column) in (
      select w.schema, w.name, w.col from rows from (
        pg_catalog.unnest($3::text[]), pg_catalog.unnest($4::text[]), pg_catalog.unnest($5::text[])) w (schema, name, col))
  order by 3`;
