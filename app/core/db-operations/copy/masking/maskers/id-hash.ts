import { hexOf, hmacOf, numberOf } from '../keyed-hash.js';
import { cut, type Masker, unlessEmpty } from './masker.js';

/** Hexadecimal digits of a masked text. */
const DIGITS = 32;

/** Characters: with that many, no two texts become one. */
export const UNIQUE_ID_LENGTH = 16;

/** The same input gives the same output in every table: joins stay, and no two values become one. */
export const idHash: Masker = (value) => {
  switch (value.family) {
    case 'integer':
      return `${permuted(`${value.sql}::pg_catalog.int8`)}::pg_catalog.${value.type.name}`;
    case 'uuid':
      return uuid(value.text);
    case 'bytea':
      return hmacOf(`pg_catalog.encode(${value.sql}, 'hex')`, 'id');
    default:
      return unlessEmpty(value, cut(hexOf(value.text, 'id'), Math.min(DIGITS, value.limit ?? DIGITS)));
  }
};

/** One of version 4, as far as that can be seen. */
function uuid(text: string): string {
  const hash = '"manage_db hash"';
  const part = (from: number, length: number) => `pg_catalog.substr(${hash}, ${from}, ${length})`;
  const digits = [part(1, 12), `'4'`, part(13, 3), `'8'`, part(16, 15)].reduce(
    (before, next) => `pg_catalog.textcat(${before}, ${next})`,
  );
  return `(select ${digits}::pg_catalog.uuid from (select ${hexOf(text, 'id')} as ${hash} offset 0) "manage_db uuid")`;
}

/** Bits. Numbers below 2^15 change places with one another, others with those that have as many binary digits. */
const LOWEST_BITS = 15;
const ROUNDS = 4;

/**
 * A permutation of all whole numbers (a Feistel network), so unique keys stay unique. Numbers stay about as large as they
 * were, which keeps them in their type and sequences away from its end; 0 stays 0, and what is negative stays negative.
 */
function permuted(value: string): string {
  const isNegative = `pg_catalog.int8lt(${value}, 0)`;
  const mirrored = (number: string) => `pg_catalog.int8mi(-1, ${number})`;
  const magnitude = `case when ${isNegative} then ${mirrored(value)} else ${value} end`;
  // 0 would otherwise be the image of another number: that one gets the image of 0
  const image = `(select case when pg_catalog.int8eq("manage_db image", 0) then ${network('0::pg_catalog.int8')} else "manage_db image" end
    from (select ${network(magnitude)} as "manage_db image" offset 0) "manage_db images")`;
  return `case when pg_catalog.int8eq(${value}, 0) or pg_catalog.int8eq(${value}, -1) then ${value}
    when ${isNegative} then ${mirrored(image)} else ${image} end`;
}

function network(magnitude: string): string {
  const bits = `case when pg_catalog.int8lt("manage_db m", ${1 << LOWEST_BITS}) then ${LOWEST_BITS}
    else pg_catalog.int4mi(pg_catalog.length(pg_catalog.ltrim("manage_db m"::pg_catalog.bit(64)::pg_catalog.text, '0')), 1) end`;
  const base = `case when pg_catalog.int8lt("manage_db m", ${1 << LOWEST_BITS}) then 0::pg_catalog.int8
    else pg_catalog.int8shl(1, "manage_db bits") end`;
  const split = `select "manage_db bits", ${base} as "manage_db base", pg_catalog.int4div("manage_db bits", 2) as "manage_db low",
    pg_catalog.int8mi("manage_db m", ${base}) as "manage_db rest"
    from (select "manage_db m", ${bits} as "manage_db bits" from (select ${magnitude} as "manage_db m" offset 0) "manage_db ms" offset 0) "manage_db bitss" offset 0`;
  const mask = (width: string) => `pg_catalog.int8mi(pg_catalog.int8shl(1, ${width}), 1)`;
  const lowWidth = '"manage_db low"';
  const highWidth = `pg_catalog.int4mi("manage_db bits", "manage_db low")`;
  let halves = `select "manage_db bits", "manage_db base", "manage_db low",
    pg_catalog.int8shr("manage_db rest", ${lowWidth}) as "manage_db l", pg_catalog.int8and("manage_db rest", ${mask(lowWidth)}) as "manage_db r"
    from (${split}) "manage_db split" offset 0`;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const [changed, by, width] =
      round % 2 === 1 ? ['"manage_db l"', '"manage_db r"', highWidth] : ['"manage_db r"', '"manage_db l"', lowWidth];
    const input = `pg_catalog.textcat(pg_catalog.textcat("manage_db bits"::pg_catalog.text, ':'), ${by}::pg_catalog.text)`;
    const output = `pg_catalog.int8and(${numberOf(hexOf(input, `id-${round}`), 8)}, ${mask(width)})`;
    const next = `pg_catalog.int8xor(${changed}, ${output})`;
    const [l, r] = round % 2 === 1 ? [next, '"manage_db r"'] : ['"manage_db l"', next];
    halves = `select "manage_db bits", "manage_db base", "manage_db low", ${l} as "manage_db l", ${r} as "manage_db r" from (${halves}) "manage_db round" offset 0`;
  }
  return `(select pg_catalog.int8pl("manage_db base", pg_catalog.int8or(pg_catalog.int8shl("manage_db l", ${lowWidth}), "manage_db r")) from (${halves}) "manage_db halves")`;
}
