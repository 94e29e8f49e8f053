import { escapeIdentifier, escapeLiteral } from 'pg';
import type { MaskableColumn } from '../../../../database/catalog/maskable-tables.js';
import { familyOf, valueType } from './column-family.js';
import { dateShift } from './maskers/date-shift.js';
import { email } from './maskers/email.js';
import { freeText } from './maskers/free-text.js';
import { idHash } from './maskers/id-hash.js';
import type { MaskedValue, Masker } from './maskers/masker.js';
import { name } from './maskers/name.js';
import { phone } from './maskers/phone.js';
import type { NamedMasker, Rule } from './rules.js';

const MASKERS: Readonly<Record<NamedMasker, Masker>> = {
  email,
  name,
  phone,
  'free-text': freeText,
  'id-hash': idHash,
};

/** A column with what is decided about it. */
export interface ColumnToMask {
  readonly column: MaskableColumn;
  readonly rule: Rule;
  /** The most characters of a result: the column's own limit, or a smaller one of a column that refers to it. */
  readonly limit: number | null;
  /** The column that decides how far dates are moved. */
  readonly key: MaskableColumn | null;
}

/**
 * What is selected instead of a column, of its type without domains: what a domain demands is checked where the value goes,
 * so nobody's function is called on the source.
 */
export function columnExpression({ column, rule, limit, key }: ColumnToMask): string {
  const own = escapeIdentifier(column.column);
  switch (rule.kind) {
    case 'keep':
      return own;
    case 'null':
      return `null::${column.sql}`;
    case 'fixed':
      return `${fixedLiteral(rule.value)}::${column.sql}`;
    case 'sql':
      // on lines of their own: it may end with a comment
      return `(\n${rule.expression}\n)::${column.sql}`;
    default: {
      const mask: Masker =
        rule.kind === 'date-shift'
          ? (value) => dateShift(value, key === null ? `''` : keyText(key))
          : MASKERS[rule.kind];
      if (!column.isArray) return `(${mask(maskedValue(column, own, limit))})::${column.sql}`;
      const element = mask(maskedValue(column, '"manage_db elements"."manage_db element"', limit));
      return `(case when ${own} is not null then array(
        select ${element}::${valueType(column).sql}
        from pg_catalog.unnest(${own}) with ordinality as "manage_db elements" ("manage_db element", "manage_db place")
        order by "manage_db elements"."manage_db place") end)::${column.sql}`;
    }
  }
}

/** A value of a rules file as an SQL literal. */
export function fixedLiteral(value: unknown): string {
  return escapeLiteral(typeof value === 'object' ? JSON.stringify(value) : String(value));
}

function keyText(column: MaskableColumn): string {
  return maskedValue(column, escapeIdentifier(column.column), null).text;
}

function maskedValue(column: MaskableColumn, sql: string, limit: number | null): MaskedValue {
  const family = familyOf(column);
  const text = `${sql}::pg_catalog.text`;
  return {
    sql,
    // citext calls texts equal that differ in case
    text: family === 'citext' ? `pg_catalog.lower(${text})` : text,
    type: valueType(column),
    family,
    limit,
  };
}
