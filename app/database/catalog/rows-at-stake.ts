import { escapeIdentifier } from 'pg';
import type { Queryable } from '../queryable.js';

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

export interface TableSize {
  /** Of the table and its partitions, as far as it was analyzed; `null`: nobody knows. */
  readonly rows: number | null;
  readonly bytes: number;
}

/** How large a table is, with its partitions. `null`: it is not there. */
export async function readTableSize(db: Queryable, { schema, name }: TableName): Promise<TableSize | null> {
  const { rows } = await db.query<TableSize>(SIZE, [schema, name]);
  return rows[0] ?? null;
}

const TREE = `
  with recursive tree (oid) as (
    select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relname = $2
    union
    select i.inhrelid from pg_catalog.pg_inherits i join tree on i.inhparent = tree.oid
  )`;

const SIZE = `${TREE}
  select pg_catalog.sum(c.reltuples) filter (where c.relkind <> 'p' and c.reltuples >= 0)::pg_catalog.float8 as rows,
    coalesce(pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::pg_catalog.float8 as bytes
  from tree join pg_catalog.pg_class c on c.oid = tree.oid
  having pg_catalog.count(*) > 0`;

/**
 * How many rows a table has, with its partitions, as far as it was analyzed; `null`: nobody knows. Does not wait for a lock,
 * as asking for its size does.
 */
export async function readRowEstimate(db: Queryable, { schema, name }: TableName): Promise<number | null> {
  const { rows } = await db.query<Pick<TableSize, 'rows'>>(
    `${TREE} select pg_catalog.sum(c.reltuples) filter (where c.relkind <> 'p' and c.reltuples >= 0)::pg_catalog.float8 as rows
     from tree join pg_catalog.pg_class c on c.oid = tree.oid`,
    [schema, name],
  );
  return rows[0]?.rows ?? null;
}

/** Whether a table has a row; with `column`, one in which that is not null. */
export async function hasRows(db: Queryable, table: TableName, column?: string): Promise<boolean> {
  const condition = column === undefined ? '' : `where ${escapeIdentifier(column)} is not null`;
  const { rows } = await db.query<{ has: boolean }>(
    `select exists (select from ${quotedTable(table)} ${condition}) as has`,
  );
  return rows[0]?.has ?? false;
}

export interface Conversion {
  readonly table: TableName;
  readonly column: string;
  /** Types as the server writes them: `character varying(80)`. */
  readonly from: string;
  readonly to: string;
}

/** In how many rows a value is another one after it was converted to a type and back. */
export async function countChangedValues(db: Queryable, { table, column, from, to }: Conversion): Promise<number> {
  const value = escapeIdentifier(column);
  const { rows } = await db.query<{ changed: string }>(
    `select pg_catalog.count(*)::text as changed from ${quotedTable(table)}
     where (${value}::${to}::${from})::text is distinct from ${value}::text`,
  );
  return Number(rows[0]?.changed ?? 0);
}

/** The version in which each extension would be made that the server has. */
export async function readAvailableExtensions(db: Queryable): Promise<Map<string, string>> {
  const { rows } = await db.query<{ name: string; version: string }>(
    `select e.name::text, e.default_version as version from pg_catalog.pg_available_extensions e`,
  );
  return new Map(rows.map(({ name, version }) => [name, version]));
}

/** With its schema, for SQL. */
export function quotedTable({ schema, name }: TableName): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}
