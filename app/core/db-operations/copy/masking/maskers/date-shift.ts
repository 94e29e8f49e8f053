import { hexOf, numberOf } from '../keyed-hash.js';
import type { MaskedValue } from './masker.js';

/** Days; everything moves back by one of them, so that nothing comes to lie in the future. */
const LONGEST_SHIFT = 365;

/**
 * The date, time or range, moved back by as many days as `key` says: all dates of a person by the same, so that what lies
 * between them stays. What is infinite, or before the year 1, stays where it is.
 *
 * @param key a text
 */
export function dateShift(value: MaskedValue, key: string): string {
  const number = numberOf(hexOf(`coalesce(${key}, '')`, 'date-shift'), 12);
  const days = `pg_catalog.int4pl(pg_catalog.int8mod(${number}, ${LONGEST_SHIFT})::pg_catalog.int4, 1)`;
  if (value.family === 'date') return moved(value.type.name, value.sql, days);
  const bound = value.type.name === 'daterange' ? 'date' : value.type.name === 'tsrange' ? 'timestamp' : 'timestamptz';
  const [lower, upper] = ['lower', 'upper'].map((end) => moved(bound, `pg_catalog.${end}(${value.sql})`, days));
  const brackets = `pg_catalog.textcat(case when pg_catalog.lower_inc(${value.sql}) then '[' else '(' end,
    case when pg_catalog.upper_inc(${value.sql}) then ']' else ')' end)`;
  return `case when ${value.sql} is null or pg_catalog.isempty(${value.sql}) then ${value.sql}
    else pg_catalog.${value.type.name}(${lower}, ${upper}, ${brackets}) end`;
}

function moved(type: string, value: string, days: string): string {
  const isMovable = `pg_catalog.isfinite(${value}) and pg_catalog.${type}_ge(${value}, '0002-01-01'::pg_catalog.${type})`;
  return `case when ${isMovable} then ${back(type, value, days)} else ${value} end`;
}

function back(type: string, value: string, days: string): string {
  if (type === 'date') return `pg_catalog.date_mii(${value}, ${days})`;
  // days of 24 hours: a day of a time zone can be longer
  const hours = `pg_catalog.make_interval(0, 0, 0, 0, pg_catalog.int4mul(${days}, 24))`;
  return `pg_catalog.${type}_mi_interval(${value}, ${hours})`;
}
