import { escapeIdentifier } from 'pg';
import type { Queryable } from '../../../database/queryable.js';
import type { Value } from './choose-values.js';
import type { ForeignKey, RelationModel } from './model.js';
import { type RowPlace, relationName } from './statements.js';

/** Values by their columns. */
export type Row = Map<string, Value>;

/** Rows among which one is looked for that no other refers to. */
const LOOKED_AT = 1000;
/** Bytes of a stored value above which it is not worth copying. */
const LARGE = 65_536;

/** The values of one row, any one without `place`, as texts; what is very large is left out. */
export async function readRow(db: Queryable, model: RelationModel, place: RowPlace | null): Promise<Row | null> {
  const names = [...model.columns.keys()];
  const isLarge = (name: string): string => `pg_catalog.pg_column_size(t.${escapeIdentifier(name)}) > ${LARGE}`;
  const texts = names.map((name) => `case when not ${isLarge(name)} then t.${escapeIdentifier(name)}::text end`);
  const { rows } = await db.query<{ texts: readonly Value[]; large: readonly (boolean | null)[] }>(
    `select array[${texts.join(', ')}]::text[] as texts, array[${names.map(isLarge).join(', ')}]::boolean[] as large
     from ${relationName(model)} t ${place === null ? '' : `where ${place.condition}`} limit 1`,
    [...(place?.values ?? [])],
  );
  const [found] = rows;
  if (found === undefined) return null;
  const entries = names.map((name, index) => [name, found.texts[index] ?? null] as const);
  return new Map(entries.filter((_, index) => found.large[index] !== true));
}

/** A row that is there, and that no other refers to where only one may. */
export async function readReferenced(
  db: Queryable,
  key: ForeignKey,
  { model, target, row }: { readonly model: RelationModel; readonly target: RelationModel; readonly row: Row },
): Promise<readonly Value[] | null> {
  const name = (column: string | undefined): string => escapeIdentifier(column ?? '');
  const values: Value[] = [];
  const conditions = key.columns.map((column, index) => {
    const value = row.get(column);
    if (value === undefined) return `t.${name(key.targetColumns[index])} is not null`;
    values.push(value);
    return `t.${name(key.targetColumns[index])} = $${values.length}`;
  });
  const isSingle = key.columns.every((column) => model.uniqueColumns.has(column));
  const taken = key.columns.map((column, index) => `c.${name(column)} = t.${name(key.targetColumns[index])}`);
  const found = `select * from ${relationName(target)} t where ${conditions.join(' and ')} limit ${isSingle ? LOOKED_AT : 1}`;
  const unused = isSingle ? `order by exists (select from ${relationName(model)} c where ${taken.join(' and ')})` : '';
  const { rows } = await db.query<{ key: readonly Value[] }>(
    `select ${keyTexts(key.targetColumns)} from (${found}) t ${unused} limit 1`,
    values,
  );
  return rows[0]?.key ?? null;
}

/** The columns of a key as one array of texts, called `key`. */
export function keyTexts(columns: readonly string[]): string {
  return `array[${columns.map((column) => `${escapeIdentifier(column)}::text`).join(', ')}]::text[] as key`;
}
