import { hexOf } from '../keyed-hash.js';
import { cut, type Masker, unlessEmpty } from './masker.js';

/** RFC 2606: nobody ever receives what is sent there. */
const DOMAIN = '@example.com';
const DIGITS = 20;

/** Characters: with that many, no two addresses become one. */
export const UNIQUE_EMAIL_LENGTH = 16 + DOMAIN.length;
/** Characters, of which four tell people apart. */
export const SHORTEST_EMAIL_LENGTH = 4 + DOMAIN.length;

/** An address under example.com, the same one for the same address. */
export const email: Masker = (value) => {
  const digits = Math.min(DIGITS, (value.limit ?? Number.POSITIVE_INFINITY) - DOMAIN.length);
  const local = cut(hexOf(value.text, 'email'), digits);
  return unlessEmpty(value, `pg_catalog.textcat(${local}, '${DOMAIN}')`);
};
