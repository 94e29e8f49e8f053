import { escapeIdentifier } from 'pg';
import type { MaskableColumn, MaskableTable } from '../../../../database/catalog/maskable-tables.js';
import { nearest } from '../../../nearest.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import type { ColumnRule, MaskingRules, Rule, TableRules } from './rules.js';

/** What does not fit, in words, and where the rule stands. */
export interface MaskingProblem {
  /** `schema.name` as SQL takes it. */
  readonly table: string;
  readonly column: string | null;
  readonly message: string;
  readonly place: string | null;
  /** The definition that does not fit, with its literals: for people to look at, and not for logs. */
  readonly definition?: string;
}

export interface RuledColumn {
  readonly column: MaskableColumn;
  /** `null`: nobody has decided. */
  readonly rule: Rule | null;
  readonly place: string | null;
}

/** A table of the catalog with what the rules say about it. */
export interface RuledTable {
  readonly table: MaskableTable;
  readonly place: string | null;
  readonly hasRows: boolean;
  /** All that are copied, in the order of the table. */
  readonly columns: readonly RuledColumn[];
}

/** A table whose rows are never part of a masked copy. */
export interface LeftOutTable {
  readonly schema: string;
  readonly name: string;
}

/** Brings rules and catalog together; what only the rules know is a problem. */
export function resolveRules(
  tables: readonly MaskableTable[],
  { tables: rules }: MaskingRules,
  leftOut: readonly LeftOutTable[],
): { readonly tables: readonly RuledTable[]; readonly problems: readonly MaskingProblem[] } {
  const problems: MaskingProblem[] = [];
  const found = new Map<MaskableTable, TableRules>();
  for (const rule of rules) {
    const [table, ...others] = tables.filter((one) => isCalled(one, rule.table));
    if (table === undefined) {
      problems.push({ table: rule.table, column: null, message: missingTable(tables, rule.table), place: rule.place });
    } else if (others.length > 0 || found.has(table)) {
      const message =
        others.length > 0 ? 'it is the name of several tables: quote schema and name' : 'it has rules already';
      problems.push({ table: rule.table, column: null, message, place: rule.place });
    } else found.set(table, rule);
  }
  const ruled = tables.map((table): RuledTable => {
    const rule = found.get(table);
    const isLeftOut = leftOut.some(({ schema, name }) => schema === table.schema && name === table.name);
    const columns = resolveColumns(table, rule?.columns ?? [], problems);
    return { table, place: rule?.place ?? null, hasRows: rule?.hasRows ?? !isLeftOut, columns };
  });
  return { tables: ruled, problems };
}

function resolveColumns(
  table: MaskableTable,
  rules: readonly ColumnRule[],
  problems: MaskingProblem[],
): readonly RuledColumn[] {
  const found = new Map<string, ColumnRule>();
  const names = table.columns.map(({ column }) => column);
  const report = ({ column, place }: ColumnRule, message: string): void => {
    problems.push({ table: qualified(table), column, message, place });
  };
  for (const rule of rules) {
    const name = names.find((one) => one === rule.column) ?? names.find((one) => escapeIdentifier(one) === rule.column);
    if (name === undefined) report(rule, missingColumn(table, names, rule.column));
    else if (found.has(name)) report(rule, 'it has a rule already');
    else found.set(name, rule);
  }
  return table.columns.map((column) => {
    const rule = found.get(column.column);
    return { column, rule: rule?.rule ?? null, place: rule?.place ?? null };
  });
}

function isCalled({ schema, name }: MaskableTable, typed: string): boolean {
  const spellings = (word: string) => [word, escapeIdentifier(word)];
  return spellings(schema).some((start) => spellings(name).some((end) => typed === `${start}.${end}`));
}

function missingTable(tables: readonly MaskableTable[], typed: string): string {
  const parent = tables.find(({ partitions }) =>
    partitions.some(({ schema, name }) => typed === `${schema}.${name}` || typed === qualified({ schema, name })),
  );
  if (parent !== undefined) return `it is a partition; the rules of ${qualified(parent)} hold for it`;
  const names = tables.map(qualified);
  const meant = names.find((name) => name.endsWith(`.${typed}`)) ?? nearest(typed, names);
  return `there is no such table${meant === null ? '' : `; did you mean ${meant}`}`;
}

function missingColumn({ generated }: MaskableTable, names: readonly string[], typed: string): string {
  if (generated.some(({ column }) => column === typed))
    return 'it is generated, and follows from the others: leave it out';
  const meant = nearest(typed, names);
  return `there is no such column${meant === null ? '' : `; did you mean ${quotedWhereNeeded(meant)}`}`;
}
