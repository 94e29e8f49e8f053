import type { MaskableColumn, PlainType } from '../../../../database/catalog/maskable-tables.js';

/** What the values of a type are, as far as a masker has to know it. */
export type Family =
  | 'text'
  | 'char'
  | 'citext'
  | 'integer'
  | 'uuid'
  | 'bytea'
  | 'date'
  | 'date range'
  | 'json'
  | 'other';

const FAMILIES: Readonly<Record<string, Family>> = {
  text: 'text',
  varchar: 'text',
  name: 'text',
  bpchar: 'char',
  citext: 'citext',
  int2: 'integer',
  int4: 'integer',
  int8: 'integer',
  uuid: 'uuid',
  bytea: 'bytea',
  date: 'date',
  timestamp: 'date',
  timestamptz: 'date',
  daterange: 'date range',
  tsrange: 'date range',
  tstzrange: 'date range',
  json: 'json',
  jsonb: 'json',
};

/** The family of the values of a column; of an array, of its elements. */
export function familyOf(column: MaskableColumn): Family {
  const { name, isKnown } = valueType(column);
  return (isKnown ? FAMILIES[name] : undefined) ?? 'other';
}

/** The type of the single values. */
export function valueType(column: MaskableColumn): PlainType {
  return column.element ?? column;
}

export function isTextual(family: Family): boolean {
  return family === 'text' || family === 'char' || family === 'citext';
}
