import { escapeIdentifier } from 'pg';
import type { Value } from './choose-values.js';
import type { RelationModel } from './model.js';

export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

export function relationName({ schema, name }: Pick<RelationModel, 'schema' | 'name'>): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}

/** Inserts one row with these values, and the defaults of all other columns. */
export function insertStatement(model: RelationModel, row: ReadonlyMap<string, Value>): Statement {
  const columns = [...row.keys()];
  if (columns.length === 0) return { text: `insert into ${relationName(model)} default values`, values: [] };
  const isOverriding = columns.some((column) => model.columns.get(column)?.identity === 'always');
  return {
    text: `insert into ${relationName(model)} (${columns.map(escapeIdentifier).join(', ')})
      ${isOverriding ? 'overriding system value' : ''}
      values (${columns.map((_, index) => `$${index + 1}`).join(', ')})`,
    values: [...row.values()],
  };
}

/** Where one row of a relation is found. Only tables have addresses: of a view it is whatever looks like its first row. */
export interface RowPlace {
  readonly condition: string;
  readonly values: readonly unknown[];
}

/** For a view, whose rows have no address, and for statements that shall meet none. */
export function firstRowOf(model: RelationModel): RowPlace {
  const name = relationName(model);
  return { condition: `t::text = (select first::text from ${name} first limit 1)`, values: [] };
}

export const NO_ROW: RowPlace = { condition: 'false', values: [] };

export function rowAt(address: { readonly table: string; readonly row: string }): RowPlace {
  return {
    condition: 't.tableoid = $1::pg_catalog.oid and t.ctid = $2::pg_catalog.tid',
    values: [address.table, address.row],
  };
}

/** @param row new values; a column that is to be set to itself has `undefined` */
export function updateStatement(
  model: RelationModel,
  row: ReadonlyMap<string, Value | undefined>,
  place: RowPlace,
): Statement {
  const values = [...place.values];
  const assignments = [...row].map(([column, value]) => {
    const name = escapeIdentifier(column);
    if (value === undefined) return `${name} = t.${name}`;
    values.push(value);
    return `${name} = $${values.length}`;
  });
  return {
    text: `update ${relationName(model)} t set ${assignments.join(', ')} where ${place.condition}`,
    values,
  };
}

export function deleteStatement(model: RelationModel, place: RowPlace): Statement {
  return { text: `delete from ${relationName(model)} t where ${place.condition}`, values: place.values };
}

/** Inserts nothing, which fires what fires once a statement. */
export function emptyInsert(model: RelationModel): Statement {
  const columns = settableColumns(model).map(escapeIdentifier).join(', ');
  const name = relationName(model);
  return columns === ''
    ? { text: `insert into ${name} select from ${name} where false`, values: [] }
    : { text: `insert into ${name} (${columns}) select ${columns} from ${name} where false`, values: [] };
}

/** Columns that a statement may set: not those that PostgreSQL computes or numbers. */
export function settableColumns({ columns }: RelationModel): readonly string[] {
  return [...columns.values()]
    .filter(({ generated, identity }) => generated === null && identity !== 'always')
    .map(({ name }) => name);
}
