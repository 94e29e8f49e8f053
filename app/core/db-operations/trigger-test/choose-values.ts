import { escapeIdentifier } from 'pg';
import type { Queryable } from '../../../database/queryable.js';
import { kept } from './savepoint.js';

export type Value = string | null;

/** A column whose value is to be chosen from `candidates`, the best ones first. */
export interface Choice {
  /** What stands before the column's name in the conditions: the table, or `old` and `new`. */
  readonly row: string;
  readonly column: string;
  /** As PostgreSQL writes it. */
  readonly type: string;
  readonly candidates: readonly Value[];
}

export interface Search {
  readonly choices: readonly Choice[];
  readonly conditions: readonly string[];
  /** A CHECK accepts what is not known to be false; a WHEN wants it to be true. */
  readonly accepts: 'is not false' | 'is true';
  /** Columns that are computed from the chosen ones. */
  readonly generated?: readonly { readonly column: string; readonly expression: string }[];
}

/** So many combinations are tried at most. */
const COMBINATIONS = 4000;

/**
 * The first combination of candidates, one for each choice and in their order, that meets all conditions. The server
 * evaluates them: nobody knows better what they mean.
 *
 * @returns `null` when there is none, or when the conditions cannot be evaluated outside of their table
 */
export async function chooseValues(db: Queryable, search: Search): Promise<readonly Value[] | null> {
  const { choices } = search;
  const each = Math.max(2, Math.floor(COMBINATIONS ** (1 / choices.length)));
  let product = 1;
  const candidates = choices.map((choice) => {
    const count = product * Math.min(each, choice.candidates.length) > COMBINATIONS ? 1 : each;
    const few = choice.candidates.slice(0, count);
    product *= few.length;
    return few;
  });
  const outcome = await kept(db, () => db.query<{ chosen: readonly Value[] }>(searchStatement(search), candidates));
  return outcome.ok ? (outcome.value.rows[0]?.chosen ?? null) : null;
}

function searchStatement({ choices, conditions, accepts, generated = [] }: Search): string {
  const rows = [...new Set(choices.map(({ row }) => row))];
  const from = rows.map((row) => {
    const own = choices.flatMap((choice, index) => (choice.row === row ? [{ ...choice, index }] : []));
    const columns = own.map(({ column, index }) => `c${index}.value as ${escapeIdentifier(column)}`);
    const sources = own.map(
      ({ type, index }) => `(
        select text::${type} as value, place from pg_catalog.unnest($${index + 1}::text[]) with ordinality u (text, place)
      ) c${index}`,
    );
    const places = own.map(({ index }) => `c${index}.place`).join(' + ');
    const computed = generated.map(({ column, expression }) => `, (${expression}) as ${escapeIdentifier(column)}`);
    return `(
      select given.*${computed.join('')}
      from (select ${columns.join(', ')}, ${places} as "manage_db place" from ${sources.join(' cross join ')}) given
    ) as ${escapeIdentifier(row)}`;
  });
  const chosen = choices.map(({ row, column }) => `${escapeIdentifier(row)}.${escapeIdentifier(column)}::text`);
  return `
    select array[${chosen.join(', ')}]::text[] as chosen
    from ${from.join(' cross join ')}
    where ${conditions.map((condition) => `(${condition}) ${accepts}`).join(' and ')}
    order by ${rows.map((row) => `${escapeIdentifier(row)}."manage_db place"`).join(' + ')}
    limit 1`;
}

/**
 * Those of `candidates` that are of the type and meet all conditions over `column`; `null` when that cannot be told.
 *
 * @param column the name under which the conditions know the value: `value` in those of a domain
 */
export async function acceptable(
  db: Queryable,
  { column, type, candidates }: Omit<Choice, 'row'>,
  conditions: readonly string[],
): Promise<readonly Value[] | null> {
  const own = escapeIdentifier(column);
  const statement = `
    select r.${own}::text as text
    from (
      select u.place as "manage_db place", u.text::${type} as ${own}
      from pg_catalog.unnest($1::text[]) with ordinality u (text, place)
    ) r
    where ${['true', ...conditions].map((condition) => `(${condition}) is not false`).join(' and ')}
    order by r."manage_db place"`;
  const run = (texts: readonly Value[]) => kept(db, () => db.query<{ text: Value }>(statement, [texts]));
  const together = await run(candidates);
  if (together.ok) return together.value.rows.map(({ text }) => text);
  // one that is not of the type spoils it for the others
  const accepted: Value[] = [];
  let isEvaluated = false;
  for (const candidate of candidates) {
    const alone = await run([candidate]);
    isEvaluated ||= alone.ok;
    if (alone.ok && alone.value.rows.length > 0) accepted.push(candidate);
  }
  return isEvaluated ? accepted : null;
}
