import { escapeLiteral } from 'pg';
import { hexOf, numberOf } from '../keyed-hash.js';
import { cut, type MaskedValue, type Masker, unlessEmpty } from './masker.js';

/** Only letters, spaces and dots: it stands in JSON strings too. */
const FILLER =
  'lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua ' +
  'ut enim ad minim veniam quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat duis aute irure ' +
  'dolor in reprehenderit in voluptate velit esse cillum dolore eu fugiat nulla pariatur. ';

/** Characters. Longer texts become as long as this. */
const LONGEST = 100_000;

/** As long as it was, and says nothing; of JSON, the keys stay, and every text and number in it is replaced. */
export const freeText: Masker = (value) =>
  value.family === 'json' ? json(value) : unlessEmpty(value, cut(filler(value.text), value.limit));

function filler(text: string): string {
  const length = `least(pg_catalog.length(${text}), ${LONGEST})`;
  const start = `pg_catalog.int8mod(${numberOf(hexOf(text, 'free-text'), 8)}, ${FILLER.length})::pg_catalog.int4`;
  const times = `pg_catalog.int4pl(pg_catalog.int4div(${length}, ${FILLER.length}), 2)`;
  const source = `case when pg_catalog.int4lt(pg_catalog.length(${text}), ${FILLER.length}) then '${FILLER}${FILLER}'
    else pg_catalog.repeat('${FILLER}', ${times}) end`;
  return `pg_catalog.substr(${source}, pg_catalog.int4pl(${start}, 1), ${length})`;
}

/** A string with what follows it if that is a colon, or what is between two strings. */
const TOKEN = String.raw`"(?:[^"\\]|\\.)*"(?:\s*:)?|[^"]+`;
const NUMBER = '-?[0-9]+(?:[.][0-9]+)?(?:[eE][-+]?[0-9]+)?';

/** JSON strings and keys in their order: no value is looked for inside another. */
function json(value: MaskedValue): string {
  const token = `"manage_db tokens"."manage_db token"[1]`;
  const inside = `pg_catalog.substr(${token}, 2, greatest(pg_catalog.int4mi(pg_catalog.length(${token}), 2), 0))`;
  const masked = `case
    when not pg_catalog.starts_with(${token}, '"') then pg_catalog.regexp_replace(${token}, ${escapeLiteral(NUMBER)}, '0', 'g')
    when pg_catalog.texteq(pg_catalog."right"(${token}, 1), ':') then ${token}
    else pg_catalog.textcat(pg_catalog.textcat('"', ${filler(inside)}), '"') end`;
  return `(select pg_catalog.string_agg(${masked}, '' order by "manage_db tokens"."manage_db place")
    from pg_catalog.regexp_matches(${value.sql}::pg_catalog.text, ${escapeLiteral(`(${TOKEN})`)}, 'g') with ordinality
      as "manage_db tokens" ("manage_db token", "manage_db place"))`;
}
