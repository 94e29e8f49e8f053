import { createHash } from 'node:crypto';
import { ManageDbError } from '../../../errors.js';
import { nearest } from '../../../nearest.js';
import * as z from '../../../schema.js';

/** Maskers that need nothing but the value. */
export const NAMED_MASKERS = ['email', 'name', 'phone', 'free-text', 'id-hash'] as const;
export type NamedMasker = (typeof NAMED_MASKERS)[number];

/** Rules that take no value. */
export const PLAIN_RULES = ['keep', 'null', ...NAMED_MASKERS] as const;
type PlainRule = (typeof PLAIN_RULES)[number];

/** What becomes of the values of one column. */
export type Rule =
  | { readonly kind: PlainRule }
  | { readonly kind: 'fixed'; readonly value: unknown }
  /** An expression over the columns of its own table. */
  | { readonly kind: 'sql'; readonly expression: string }
  /** `by`: the column whose value decides how far. */
  | { readonly kind: 'date-shift'; readonly by: string };

export interface ColumnRule {
  /** As it stands in the file. */
  readonly column: string;
  /** `null`: it stands there, and nobody has decided. */
  readonly rule: Rule | null;
  readonly place: string;
}

export interface TableRules {
  /** As it stands in the file: `schema.name`. */
  readonly table: string;
  readonly place: string;
  /** Whether its rows are copied at all. */
  readonly hasRows: boolean;
  readonly columns: readonly ColumnRule[];
}

/** What `masking.yaml` or `masking.ts` says. */
export interface MaskingRules {
  /** `null` for rules that stand in no file. */
  readonly file: string | null;
  /** SHA-256 of what the rules say, in hex; comments, order and spelling of the file do not matter. */
  readonly checksum: string;
  readonly tables: readonly TableRules[];
}

const ALL_RULES = [...PLAIN_RULES, '{ date-shift: <key column> }', '{ fixed: <value> }', '{ sql: <expression> }'];

const text = z.string().check(z.minLength(1));
const ruleSchema = z.union(
  [
    z.null(),
    z.literal(PLAIN_RULES),
    z.strictObject({ fixed: z.unknown().check(z.refine((value) => value !== undefined && value !== null)) }),
    z.strictObject({ sql: text }),
    z.strictObject({ 'date-shift': text }),
  ],
  { error: ({ input }) => notARule(input) },
);
type RuleValue = z.infer<typeof ruleSchema>;

/** One level at a time: of a union in a union, only the outer one would say what is wrong. */
const columnsSchema = z.record(z.string(), z.unknown(), {
  error: 'it takes rules for its columns, or no-rows',
});
const rulesSchema = z.strictObject({ tables: z.record(z.string(), z.unknown()) });
const namesSchema = z.array(z.string());

/** What a rules file holds, as TypeScript sees it: `null` empties a column, `undefined` leaves it undecided. */
export interface MaskingFile {
  readonly tables: Readonly<
    Record<string, 'no-rows' | { readonly [column: string]: RuleValue | readonly string[] | undefined }>
  >;
}

/**
 * Types the masking rules in `masking.ts`; gives back what it is given.
 *
 * @example
 * export default defineMasking({
 *   tables: { 'clinic.patients': { keep: ['id', 'clinic_id'], email: 'email', born_on: { 'date-shift': 'id' }, notes: null } },
 * });
 */
export function defineMasking(rules: MaskingFile): MaskingFile {
  return rules;
}

export interface RulesSource {
  readonly file: string | null;
  /** Where something stands, in words: `masking.yaml:12:5`. */
  readonly placeOf: (path: readonly PropertyKey[]) => string;
}

/**
 * Checks what a rules file holds.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` with every problem and its place
 */
export function parseMaskingRules(value: unknown, { file, placeOf }: RulesSource): MaskingRules {
  const problems: string[] = [];
  const read = <T>(schema: z.ZodMiniType<T>, held: unknown, path: readonly PropertyKey[]): T | null => {
    const parsed = schema.safeParse(held);
    if (parsed.success) return parsed.data;
    problems.push(...parsed.error.issues.map((issue) => `${placeOf([...path, ...issue.path])}: ${issue.message}.`));
    return null;
  };
  const tables = Object.entries(read(rulesSchema, value, [])?.tables ?? {}).map(([table, held]): TableRules => {
    const path = ['tables', table];
    const place = placeOf(path);
    if (held === 'no-rows') return { table, place, hasRows: false, columns: [] };
    const rules = Object.entries(read(columnsSchema, held, path) ?? {}).flatMap(([column, said]): ColumnRule[] => {
      const own = [...path, column];
      if (column === 'keep' && Array.isArray(said)) {
        const kept = read(namesSchema, said, own) ?? [];
        return kept.map((name) => ({ column: name, rule: { kind: 'keep' }, place: placeOf(own) }));
      }
      const rule = said === undefined ? null : ruleOf(read(ruleSchema, said, own));
      return [{ column, rule, place: placeOf(own) }];
    });
    return { table, place, hasRows: true, columns: rules };
  });
  if (problems.length > 0) throw invalidRules(problems);
  return { file, checksum: checksumOf(tables), tables };
}

/** @param problems sentences with their places */
export function invalidRules(problems: readonly string[]): ManageDbError {
  return new ManageDbError('INVALID_CONFIGURATION', problems.join('\n'), {
    hint: 'Correct the masking rules, and run: manage_db masking check',
    details: { problems },
  });
}

function ruleOf(value: RuleValue): Rule {
  if (value === null) return { kind: 'null' };
  if (typeof value !== 'object') return { kind: value };
  if ('sql' in value) return { kind: 'sql', expression: value.sql };
  return 'fixed' in value ? { kind: 'fixed', value: value.fixed } : { kind: 'date-shift', by: value['date-shift'] };
}

function notARule(input: unknown): string {
  if (input === 'date-shift') return 'date-shift needs the column that decides how far: { date-shift: patient_id }';
  if (Array.isArray(input)) return 'only keep takes a list of columns';
  const said = typeof input === 'string' ? `"${input}"` : JSON.stringify(input);
  const meant = typeof input === 'string' ? nearest(input, PLAIN_RULES) : null;
  return `${said} is no rule; ${meant === null ? `there are ${ALL_RULES.join(', ')}` : `did you mean ${meant}`}`;
}

function checksumOf(tables: readonly TableRules[]): string {
  const said = tables.map(({ table, hasRows, columns }) => [
    table,
    hasRows,
    sorted(columns.map(({ column, rule }) => [column, rule === null ? null : Object.entries(rule).sort(byFirst)])),
  ]);
  return createHash('sha256')
    .update(JSON.stringify(sorted(said as [string, ...unknown[]][])))
    .digest('hex');
}

function sorted<T extends readonly unknown[]>(entries: readonly T[]): T[] {
  return [...entries].sort(byFirst);
}

function byFirst(one: readonly unknown[], other: readonly unknown[]): number {
  return String(one[0]) < String(other[0]) ? -1 : 1;
}
