/** In which sessions it fires: `origin` in ordinary ones, `replica` only when replicating, `always`, or `disabled`. */
export type TriggerMode = 'origin' | 'replica' | 'always' | 'disabled';

/** The letter in pg_trigger.tgenabled. */
export type TriggerModeLetter = 'O' | 'R' | 'A' | 'D';

export const MODE_LETTERS = {
  origin: 'O',
  replica: 'R',
  always: 'A',
  disabled: 'D',
} as const satisfies Record<TriggerMode, TriggerModeLetter>;

export const MODE_OF_LETTER = {
  O: 'origin',
  R: 'replica',
  A: 'always',
  D: 'disabled',
} as const satisfies Record<TriggerModeLetter, TriggerMode>;

/** The bits of pg_trigger.tgtype. One that is neither before nor instead of is after; without `row`, it is for the statement. */
export const TGTYPE = { row: 1, before: 2, insert: 4, delete: 8, update: 16, truncate: 32, insteadOf: 64 } as const;

/* Expressions about a row of pg_trigger, which stands in the query as `row`. */

export function modeSql(row: string): string {
  return `case ${row}.tgenabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica' else 'always' end`;
}

/** `before`, `instead of` or `after`. */
export function timingSql(row: string): string {
  return `case when ${has(row, 'before')} then 'before' when ${has(row, 'insteadOf')} then 'instead of' else 'after' end`;
}

/** `row` or `statement`. */
export function levelSql(row: string): string {
  return `case when ${has(row, 'row')} then 'row' else 'statement' end`;
}

/** An array of INSERT, UPDATE, DELETE and TRUNCATE, in that order. */
export function eventsSql(row: string): string {
  const events = (['insert', 'update', 'delete', 'truncate'] as const).map(
    (event) => `case when ${has(row, event)} then '${event.toUpperCase()}' end`,
  );
  return `pg_catalog.array_remove(array[${events.join(', ')}], null)`;
}

/** The condition with its parentheses, or null. `definition`: an expression, what pg_get_triggerdef has printed of the row. */
export function conditionSql(row: string, definition: string): string {
  return `case when ${row}.tgqual is not null then
    pg_catalog.substring(${definition}, ' FOR EACH (?:ROW|STATEMENT) WHEN (\\(.*?\\)) EXECUTE FUNCTION ') end`;
}

/**
 * The arguments in pg_trigger.tgargs as a JSON list. `hex`: an expression, tgargs in hexadecimal; each argument ends with a
 * zero byte, and is text in the encoding of the database.
 */
export function argumentsSql(hex: string): string {
  return `case when ${hex} = '' then '[]'::pg_catalog.jsonb else (
    select pg_catalog.jsonb_agg(pg_catalog.convert_from(pg_catalog.decode(part.bytes[1], 'hex'), pg_catalog.getdatabaseencoding())
      order by part.position)
    from pg_catalog.regexp_matches(${hex}, '((?:(?!00)[0-9a-f]{2})*)00', 'g') with ordinality as part (bytes, position)) end`;
}

function has(row: string, bit: keyof typeof TGTYPE): string {
  return `${row}.tgtype & ${TGTYPE[bit]} <> 0`;
}
