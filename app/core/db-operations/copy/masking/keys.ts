import type { MaskingForeignKey } from '../../../../database/catalog/masking-foreign-keys.js';
import type { UniqueKey } from '../../../../database/catalog/masking-keys.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import { familyOf, isTextual } from './column-family.js';
import { UNIQUE_EMAIL_LENGTH } from './maskers/email.js';
import { UNIQUE_ID_LENGTH } from './maskers/id-hash.js';
import type { MaskingProblem, RuledColumn, RuledTable } from './resolve-rules.js';
import type { Rule } from './rules.js';

/** The most characters of a column's masked values: a column and those that refer to it are cut alike. */
export class Limits {
  private readonly shared = new Map<string, number>();

  constructor(tables: ReadonlyMap<number, RuledTable>, keys: readonly MaskingForeignKey[]) {
    const pairs = keys.flatMap(({ tableOid, referencedOid, pairs: columns }) =>
      columns.map(({ column, referenced }) => [keyOf(tableOid, column), keyOf(referencedOid, referenced)] as const),
    );
    for (const { table, columns } of tables.values()) {
      for (const { column } of columns) {
        const own = (column.element ?? column).limit;
        if (own !== null) this.shared.set(keyOf(table.oid, column.column), own);
      }
    }
    // a chain of keys is as long as there are tables
    for (let isChanged = true; isChanged; ) {
      isChanged = false;
      for (const pair of pairs) {
        const least = Math.min(...pair.map((one) => this.shared.get(one) ?? Number.POSITIVE_INFINITY));
        for (const one of pair) {
          if (least === Number.POSITIVE_INFINITY || this.shared.get(one) === least) continue;
          this.shared.set(one, least);
          isChanged = true;
        }
      }
    }
  }

  of(tableOid: number, column: string): number | null {
    return this.shared.get(keyOf(tableOid, column)) ?? null;
  }
}

export interface KeyFindings {
  readonly problems: readonly MaskingProblem[];
  readonly warnings: readonly string[];
}

/** What masking would do to unique keys and exclusion constraints. */
export function findingsOfUniqueKeys(
  tables: ReadonlyMap<number, RuledTable>,
  keys: readonly UniqueKey[],
  limits: Limits,
): KeyFindings {
  const problems: MaskingProblem[] = [];
  const warnings: string[] = [];
  for (const key of keys) {
    const ruled = tables.get(key.tableOid);
    if (ruled?.hasRows !== true) continue;
    const changed = changedColumns(ruled, [...key.columns, ...key.otherColumns]);
    for (const one of changed) {
      const name = `${qualified(ruled.table)}.${quotedWhereNeeded(one.column.column)}`;
      const isOpen = key.otherColumns.includes(one.column.column) && !key.onlyLowers;
      const verdict = isOpen ? unknown(key.name) : verdictOn(key, ruled, one, limits);
      if (verdict?.isCertain === false) warnings.push(`${name}: ${verdict.why}.`);
      else if (verdict !== null) {
        problems.push({
          table: qualified(ruled.table),
          column: one.column.column,
          message: verdict.why,
          place: one.place,
        });
      }
    }
  }
  return { problems, warnings };
}

/** What masking would do to foreign keys. */
export function problemsOfForeignKeys(
  tables: ReadonlyMap<number, RuledTable>,
  keys: readonly MaskingForeignKey[],
): KeyFindings {
  const problems: MaskingProblem[] = [];
  const warnings: string[] = [];
  for (const key of keys) {
    const from = tables.get(key.tableOid);
    if (from?.hasRows !== true) continue;
    const own = key.pairs.flatMap(({ column }) => find(from, column) ?? []);
    const nulled = own.filter(({ rule }) => rule?.kind === 'null');
    if (nulled.length === key.pairs.length || (nulled.length > 0 && !key.isFull)) continue;
    const report = ({ column, place }: RuledColumn, message: string): void => {
      problems.push({ table: qualified(from.table), column: column.column, message, place });
    };
    const to = tables.get(key.referencedOid);
    for (const one of own) {
      const referenced = key.pairs.find(({ column }) => column === one.column.column)?.referenced;
      const other = to === undefined || referenced === undefined ? undefined : find(to, referenced);
      if (to?.hasRows === false) {
        report(one, `by ${key.name} it refers to ${qualified(to.table)}, whose rows are left out`);
      } else if (to === undefined || other === undefined) {
        const isChanged = one.rule !== null && one.rule.kind !== 'keep';
        if (isChanged) report(one, `by ${key.name} it refers to what is copied as it is: use keep`);
      } else {
        const message = whyApart({ one, other }, key, to);
        if (message !== null) report(one, message);
        else if (one.rule?.kind === 'sql' || (one.rule?.kind === 'fixed' && other.rule?.kind === 'keep')) {
          const name = `${qualified(from.table)}.${quotedWhereNeeded(one.column.column)}`;
          warnings.push(`${name}: ${unknown(key.name).why}.`);
        }
      }
    }
  }
  return { problems, warnings };
}

function verdictOn(
  { name, kind, columns, nullsAreEqual }: UniqueKey,
  ruled: RuledTable,
  { column, rule }: RuledColumn & { readonly rule: Rule },
  limits: Limits,
): Verdict | null {
  const certain = (why: string) => ({ why, isCertain: true });
  if (kind === 'exclusion') {
    // it compares by overlaps and the like, which equal shifts keep within what has the same key
    return rule.kind === 'date-shift'
      ? unknown(name)
      : certain(`${rule.kind} does not fit: ${name} excludes rows by it`);
  }
  switch (rule.kind) {
    case 'null':
      return nullsAreEqual ? certain(`null does not fit: in ${name} there can be one NULL`) : null;
    case 'sql':
      return unknown(name);
    case 'date-shift': {
      const key = find(ruled, rule.by);
      const isWithin = columns.includes(rule.by) && key?.rule !== null;
      return isWithin
        ? null
        : certain(`date-shift does not fit: ${name} is unique; shift by one of its columns, or keep it`);
    }
    case 'email':
    case 'id-hash': {
      const needed = rule.kind === 'email' ? UNIQUE_EMAIL_LENGTH : UNIQUE_ID_LENGTH;
      const limit = isTextual(familyOf(column)) ? limits.of(ruled.table.oid, column.column) : null;
      return limit === null || limit >= needed
        ? null
        : certain(
            `${rule.kind} does not fit: ${name} is unique, and ${limit} characters are too few for that (${needed})`,
          );
    }
    default:
      return certain(`${rule.kind} does not fit: ${name} is unique; use id-hash, email, or keep`);
  }
}

interface Verdict {
  readonly why: string;
  readonly isCertain: boolean;
}

function unknown(constraint: string): Verdict {
  return { why: `whether ${constraint} still holds is only known when it is built`, isCertain: false };
}

interface Pair {
  readonly one: RuledColumn;
  readonly other: RuledColumn;
}

function whyApart({ one, other }: Pair, key: MaskingForeignKey, to: RuledTable): string | null {
  const target = `${qualified(to.table)}.${quotedWhereNeeded(other.column.column)}`;
  // what is undecided is listed elsewhere
  if (one.rule === null || other.rule === null) return null;
  if (one.rule.kind === 'fixed' && other.rule.kind === 'keep') return null;
  if (one.rule.kind !== other.rule.kind) {
    return `${one.rule.kind} does not fit: by ${key.name} it refers to ${target}, which has ${other.rule.kind}`;
  }
  switch (one.rule.kind) {
    case 'keep':
    case 'sql':
    case 'null':
      return null;
    case 'fixed':
      return other.rule.kind === 'fixed' && one.rule.value === other.rule.value
        ? null
        : `its fixed value is another one than that of ${target}, to which it refers by ${key.name}`;
    case 'date-shift': {
      const by = one.rule.by;
      const otherBy = other.rule.kind === 'date-shift' ? other.rule.by : '';
      return key.pairs.some(({ column, referenced }) => column === by && referenced === otherBy)
        ? null
        : `by ${key.name} it refers to ${target}: both must be shifted by columns that ${key.name} joins`;
    }
    default:
      break;
  }
  if (one.column.isAmbiguous !== other.column.isAmbiguous || familyOf(one.column) !== familyOf(other.column)) {
    return `${one.rule.kind} does not fit: ${one.column.declared} and ${other.column.declared} of ${target} are masked differently`;
  }
  return one.column.isAmbiguous && familyOf(one.column) !== 'citext'
    ? `${one.rule.kind} does not fit: its collation calls texts equal that differ, so ${key.name} could break`
    : null;
}

function changedColumns(ruled: RuledTable, names: readonly string[]): (RuledColumn & { readonly rule: Rule })[] {
  return ruled.columns.flatMap((one) =>
    one.rule !== null && one.rule.kind !== 'keep' && names.includes(one.column.column)
      ? [{ ...one, rule: one.rule }]
      : [],
  );
}

function find({ columns }: RuledTable, name: string): RuledColumn | undefined {
  return columns.find(({ column }) => column.column === name);
}

function keyOf(tableOid: number, column: string): string {
  return JSON.stringify([tableOid, column]);
}
