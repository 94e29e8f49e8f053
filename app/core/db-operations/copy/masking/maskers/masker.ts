import type { PlainType } from '../../../../../database/catalog/maskable-tables.js';
import type { Family } from '../column-family.js';

/** One value that is to be masked, in SQL. */
export interface MaskedValue {
  /** An expression without side effects, which may be repeated; of its own type. */
  readonly sql: string;
  /** The same as text: equal values of a column have equal texts. */
  readonly text: string;
  readonly type: PlainType;
  readonly family: Family;
  /** The most characters that the result may have. */
  readonly limit: number | null;
}

/** An expression of `value`'s type; NULL for NULL. */
export type Masker = (value: MaskedValue) => string;

/** `masked`, but what is empty stays empty: it says nothing about anybody, and constraints often speak of it. */
export function unlessEmpty(value: MaskedValue, masked: string): string {
  return `case when pg_catalog.texteq(${value.text}, '') then ${value.text} else ${masked} end`;
}

/** The first characters of a text, where there is a limit. */
export function cut(text: string, limit: number | null): string {
  return limit === null ? text : `pg_catalog.left(${text}, ${limit})`;
}
