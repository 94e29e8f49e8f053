import { hexOf } from '../keyed-hash.js';
import { cut, type Masker, unlessEmpty } from './masker.js';

const HEX = '0123456789abcdef';
const CONSONANTS = 'bdfgklmnprstvzhj';
const VOWELS = 'aeiouaeiouaeioua';

/** `Rokamu`, or `Rokamu Deli` for what has more than one word. */
export const name: Masker = (value) => {
  const hash = `"manage_db hash"`;
  const first = word(hash, 1, 3);
  const last = word(hash, 20, 2);
  const both = `pg_catalog.textcat(pg_catalog.textcat(${first}, ' '), ${last})`;
  const isLong = `pg_catalog.int4gt(pg_catalog.strpos(pg_catalog.btrim("manage_db text"), ' '), 0)`;
  const hashed = `(select ${cut(`case when ${isLong} then ${both} else ${first} end`, value.limit)}
    from (select ${value.text} as "manage_db text", ${hexOf(value.text, 'name')} as "manage_db hash" offset 0) "manage_db name")`;
  return unlessEmpty(value, hashed);
};

function word(hash: string, from: number, syllables: number): string {
  const letters = Array.from({ length: syllables * 2 }, (_, index) => {
    const alphabet = index % 2 === 0 ? CONSONANTS : VOWELS;
    const shown = index === 0 ? alphabet.toUpperCase() : alphabet;
    return `pg_catalog.translate(pg_catalog.substr(${hash}, ${from + index}, 1), '${HEX}', '${shown}')`;
  });
  return letters.reduce((before, letter) => `pg_catalog.textcat(${before}, ${letter})`);
}
