import { hexOf, numberOf } from '../keyed-hash.js';
import { type Masker, unlessEmpty } from './masker.js';

/** More are not replaced by different ones: the rest are zeros in front. */
const DIGITS = 15;

/**
 * The same length, spaces and signs, other digits. No country code begins with 0, so `+0…` and `000…` are nobody's number.
 *
 * to_char() writes the digits into a template that is made of the number itself: to it, only letters, dots and commas have a
 * meaning, and none of them is left.
 */
export const phone: Masker = (value) => {
  const shown = `pg_catalog.regexp_replace(${value.text}, '[^0-9+ ()/-]', '-', 'g')`;
  const others = `pg_catalog.length(pg_catalog.translate(${value.text}, '0123456789', ''))`;
  const digits = `pg_catalog.int4mi(pg_catalog.length(${value.text}), ${others})`;
  const template = `pg_catalog.translate("manage_db shown", '123456789', '000000000')`;
  const zeros = `case when pg_catalog.starts_with("manage_db shown", '+') then 1 else 3 end`;
  const free = `least(greatest(pg_catalog.int4mi("manage_db digits", ${zeros}), 0), ${DIGITS})`;
  const limit = `pg_catalog.rpad('1', pg_catalog.int4pl(${free}, 1), '0')::pg_catalog.int8`;
  const number = `pg_catalog.int8mod("manage_db number", ${limit})`;
  const written = `case when pg_catalog.int4eq("manage_db digits", 0) then "manage_db shown"
    else pg_catalog.to_char(${number}, pg_catalog.textcat('FM', ${template})) end`;
  return unlessEmpty(
    value,
    `(select ${written} from (select ${shown} as "manage_db shown", ${digits} as "manage_db digits",
      ${numberOf(hexOf(value.text, 'phone'), 15)} as "manage_db number" offset 0) "manage_db phone")`,
  );
};
