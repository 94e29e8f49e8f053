import type { ValueType } from '../../../database/catalog/value-types.js';
import type { WritableColumn } from '../../../database/catalog/writable-relations.js';
import type { Queryable } from '../../../database/queryable.js';
import { acceptable, type Value } from './choose-values.js';
import { readExpression } from './expression.js';
import { textMatching } from './pattern-text.js';
import { kept } from './savepoint.js';
import { isUncertain, valuesOf } from './values.js';

const DAY_MS = 86_400_000;
const LONGEST_TEXT = 10_000;

/** Values that a column may take: those of its type, and of its domain. */
export class CandidateSource {
  constructor(
    private readonly db: Queryable,
    private readonly types: ReadonlyMap<number, ValueType>,
  ) {}

  async ofColumn({
    typeOid,
    typeModifier,
  }: Pick<WritableColumn, 'typeOid' | 'typeModifier'>): Promise<readonly Value[]> {
    const type = this.types.get(typeOid);
    if (type === undefined) return [];
    const values = valuesOf({ oid: typeOid, modifier: typeModifier }, this.types);
    const { base, checks } = this.baseOf(type);
    if (checks.length === 0 && !isUncertain(base.oid, this.types)) return values;
    const constants = await constantsOf(checks, base);
    const candidates = [...values, ...constants];
    return (await acceptable(this.db, { column: 'value', type: base.name, candidates }, checks)) ?? candidates;
  }

  /** What the default is now; nothing where asking would use up a number. */
  async ofDefault(expression: string): Promise<readonly Value[]> {
    if (/nextval/i.test(expression)) return [];
    const outcome = await kept(this.db, () => this.db.query<{ value: Value }>(`select (${expression})::text as value`));
    return outcome.ok ? outcome.value.rows.map(({ value }) => value) : [];
  }

  /** The type below all domains, and what these ask for. */
  private baseOf(type: ValueType): { readonly base: ValueType; readonly checks: readonly string[] } {
    const below = type.kind === 'domain' && type.inner !== null ? this.types.get(type.inner.oid) : undefined;
    if (below === undefined) return { base: type, checks: [] };
    const { base, checks } = this.baseOf(below);
    return { base, checks: [...type.checks, ...checks] };
  }
}

/** Values that conditions hint at: their constants, what is next to these, and texts that match their patterns. */
export async function constantsOf(
  conditions: readonly string[],
  { category }: Pick<ValueType, 'category'>,
): Promise<readonly string[]> {
  const read = await Promise.all(conditions.map(readExpression));
  const patterns = read.flatMap((expression) => expression.patterns);
  const texts = read.flatMap((expression) => expression.texts).filter((text) => !patterns.includes(text));
  const numbers = read.flatMap((expression) => expression.numbers);
  const values = [
    ...patterns.flatMap((pattern) => textsMatching(pattern, numbers)),
    ...texts,
    ...numbers.flatMap((number) => [number, ...neighbours(number)]),
    ...texts.flatMap(neighbouringDays),
  ];
  // a number may be the length that a text must have
  if (category === 'S') values.push(...numbers.flatMap(textsOfLength));
  // and a text the key that a document must have
  if (category === 'U' && texts.length > 0) {
    values.push(JSON.stringify(Object.fromEntries(texts.map((key) => [key, key]))));
  }
  return [...new Set(values)];
}

const SAMPLES = 60;
const KEPT = 3;

/** A few random ones, and a few of each length that is asked for. */
function textsMatching(pattern: string, lengths: readonly string[]): readonly string[] {
  const samples = Array.from({ length: SAMPLES }, () => textMatching(pattern)).filter((text) => text !== null);
  const asked = lengths.flatMap((length) => samples.filter((text) => text.length === Number(length)).slice(0, KEPT));
  return [...samples.slice(0, KEPT), ...asked];
}

function neighbours(number: string): readonly string[] {
  const value = Number(number);
  return Number.isSafeInteger(value) ? [String(value + 1), String(value - 1)] : [];
}

function neighbouringDays(text: string): readonly string[] {
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return [];
  const time = Date.parse(text.length === 10 ? text : text.slice(0, 19).replace(' ', 'T').concat('Z'));
  if (Number.isNaN(time)) return [];
  return [time + DAY_MS, time - DAY_MS].map((day) => new Date(day).toISOString());
}

function textsOfLength(number: string): readonly string[] {
  const length = Number(number);
  if (!Number.isInteger(length) || length < 1 || length > LONGEST_TEXT) return [];
  return ['x'.repeat(length), 'x'.repeat(length + 1)];
}
