import { hexOf } from '../keyed-hash.js';
import { cut, type Masker, unlessEmpty } from './masker.js';

const HEX = '0123456789abcdef';
const CONSONANTS = 'bdfgklmnprstvzhj';
const VOWELS = 'aeiouaeiouaeioua';

/** `Rokamu`, or `Rokamu Deli` for what has more than one word. */
export const name: Masker = (value) => {
  const letters = [part(1, 2, CONSONANTS.toUpperCase()), part(3, 3, CONSONANTS), part(6, 5, VOWELS)].reduce(
    (before, next) => `pg_catalog.textcat(${before}, ${next})`,
  );
  const isLong = `pg_catalog.int4gt(pg_catalog.strpos(pg_catalog.btrim("manage_db text"), ' '), 0)`;
  // each letter of the pattern is replaced by one of the hash: capitals, consonants, vowels
  const written = `pg_catalog.translate(case when ${isLong} then 'AuBvCw DxEy' else 'AuBvCw' end, 'ADBCEuvwxy', ${letters})`;
  const hashed = `(select ${cut(written, value.limit)}
    from (select ${value.text} as "manage_db text", ${hexOf(value.text, 'name')} as "manage_db hash" offset 0) "manage_db name")`;
  return unlessEmpty(value, hashed);
};

function part(from: number, length: number, alphabet: string): string {
  return `pg_catalog.translate(pg_catalog.substr("manage_db hash", ${from}, ${length}), '${HEX}', '${alphabet}')`;
}
