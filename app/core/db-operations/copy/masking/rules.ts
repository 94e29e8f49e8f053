import { createHash } from 'node:crypto';
import { ManageDbError } from '../../../errors.js';
import { shortened } from '../../../listed.js';
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
  readonly literals: LiteralRules;
}

/** What a definition says, and somebody has looked at. */
export interface Acknowledgement {
  /** `default clinic.patients.status` */
  readonly name: string;
  /** How the SHA-256 of its literals begins, in hex; `null`: it stands there, and nobody has decided. */
  readonly digest: string | null;
  readonly place: string;
}

export interface LiteralRules {
  /** Whether comments come along. */
  readonly hasComments: boolean;
  readonly acknowledged: readonly Acknowledgement[];
}

/** Nothing is acknowledged. */
export const NO_LITERALS: LiteralRules = { hasComments: true, acknowledged: [] };

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
const rulesSchema = z.strictObject({
  tables: z.record(z.string(), z.unknown()),
  literals: z.optional(
    z.nullable(z.record(z.string(), z.unknown(), { error: 'it takes names of definitions with their digests' })),
  ),
});
const digestSchema = z.string().check(z.regex(/^[0-9a-f]{8,64}$/));
const namesSchema = z.array(z.string());

/** What a rules file holds, as TypeScript sees it: `null` empties a column, `undefined` leaves it undecided. */
export interface MaskingFile {
  readonly tables: Readonly<
    Record<string, 'no-rows' | { readonly [column: string]: RuleValue | readonly string[] | undefined }>
  >;
  /** What definitions say as it is, by their names, with the digests that `masking check` prints; `comments: 'none'` leaves comments out. */
  readonly literals?: Readonly<Record<string, string | undefined>>;
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
  const held = read(rulesSchema, value, []);
  const literals = parseLiterals(held?.literals ?? {}, { placeOf, problems });
  const tables = Object.entries(held?.tables ?? {}).map(([table, held]): TableRules => {
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
  return { file, checksum: checksumOf(tables, literals), tables, literals };
}

function parseLiterals(
  held: Readonly<Record<string, unknown>>,
  { placeOf, problems }: Pick<RulesSource, 'placeOf'> & { readonly problems: string[] },
): LiteralRules {
  const acknowledged: Acknowledgement[] = [];
  for (const [name, said] of Object.entries(held)) {
    const place = placeOf(['literals', name]);
    if (name === 'comments') {
      if (said !== 'none') problems.push(`${place}: comments are left out with none; else take the line out.`);
      continue;
    }
    const digest = said === undefined || said === null ? null : digestSchema.safeParse(said).data;
    if (digest === undefined) {
      problems.push(`${place}: ${name} takes the digest that masking check prints: 8 to 64 hex digits.`);
    } else acknowledged.push({ name, digest, place });
  }
  return { hasComments: !('comments' in held), acknowledged };
}

/** One line that YAML does not understand makes all those below it wrong. */
const MOST_SHOWN = 10;

/** @param problems sentences with their places */
export function invalidRules(problems: readonly string[]): ManageDbError {
  const lines = shortened(problems, MOST_SHOWN, (rest) => `And ${rest} more.`);
  return new ManageDbError('INVALID_CONFIGURATION', lines.join('\n'), {
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

function checksumOf(tables: readonly TableRules[], { hasComments, acknowledged }: LiteralRules): string {
  const said = tables.map(({ table, hasRows, columns }) => [
    table,
    hasRows,
    sorted(columns.map(({ column, rule }) => [column, rule === null ? null : Object.entries(rule).sort(byFirst)])),
  ]);
  return createHash('sha256')
    .update(
      JSON.stringify([
        sorted(said),
        hasComments,
        sorted(acknowledged.map(({ name, digest }) => [name, digest] as const)),
      ]),
    )
    .digest('hex');
}

function sorted<T extends readonly unknown[]>(entries: readonly T[]): T[] {
  return [...entries].sort(byFirst);
}

function byFirst(one: readonly unknown[], other: readonly unknown[]): number {
  return String(one[0]) < String(other[0]) ? -1 : 1;
}
