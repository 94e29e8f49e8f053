import { readColumnShapes } from '../../../../database/catalog/column-shapes.js';
import { type MaskableTable, readMaskableTables } from '../../../../database/catalog/maskable-tables.js';
import { readMaskingChecks } from '../../../../database/catalog/masking-checks.js';
import { readMaskingForeignKeys } from '../../../../database/catalog/masking-foreign-keys.js';
import { readUniqueKeys } from '../../../../database/catalog/masking-keys.js';
import type { Queryable } from '../../../../database/queryable.js';
import { withoutJit } from '../../../../database/without-jit.js';
import { ManageDbError } from '../../../errors.js';
import { qualified } from '../../inspection/find-relation.js';
import type { SelectedColumn, TableToSelect } from '../selected-column.js';
import { columnExpression } from './column-expression.js';
import { problemsOfRules } from './fitting.js';
import { findingsOfUniqueKeys, Limits, problemsOfForeignKeys } from './keys.js';
import { literalLines } from './literals/literal-lines.js';
import { type LiteralPlan, planLiterals } from './literals/plan-literals.js';
import { Proposer } from './propose.js';
import { type LeftOutTable, type MaskingProblem, type RuledTable, resolveRules } from './resolve-rules.js';
import { ruleLines, type Undecided } from './rule-lines.js';
import type { MaskingRules, Rule } from './rules.js';
import { type PlannedTable, tryMasking } from './trial.js';

/** A table of the copy. */
export interface MaskedTable {
  readonly schema: string;
  readonly name: string;
  /** `false`: it is empty in the copy. */
  readonly hasRows: boolean;
  /** What is selected from it, and from each of its partitions: every column but the generated ones. */
  readonly select: readonly SelectedColumn[];
  readonly partitions: readonly { readonly schema: string; readonly name: string }[];
  /** Columns that do not come as they are. */
  readonly maskedColumns: readonly string[];
}

/** What masking a database by certain rules means. Only one that `requireDecided` lets pass may be carried out. */
export interface MaskingPlan {
  /** SHA-256 of the rules, for the lineage of the copy. */
  readonly checksum: string;
  readonly tables: readonly MaskedTable[];
  readonly undecided: readonly Undecided[];
  readonly problems: readonly MaskingProblem[];
  /** What definitions say, and nobody has acknowledged. */
  readonly literals: LiteralPlan;
  /** Whether no comment may come along: then none of them is among the literals. */
  readonly commentsLeftOut: boolean;
  /** What cannot be known before the copy is built, which fails then and changes nothing. */
  readonly warnings: readonly string[];
}

export interface PlanMaskingOptions {
  /** Tables that come without rows, whatever there is about them in the rules. */
  readonly leftOut?: (tables: readonly MaskableTable[]) => readonly LeftOutTable[];
  /** Whether some rows are masked on the server, to see whether they still satisfy the constraints; `true` by default. */
  readonly isTried?: boolean;
}

/**
 * Compares the rules with the catalog of the source, and makes of them what is selected from each table. Changes nothing.
 *
 * @param db in a transaction, with the search_path pinned
 * @throws ManageDbError `USAGE` outside of a transaction, and what the server says when it cannot be asked
 * @example
 * const plan = await planMasking(session, await readMaskingRules());
 * await requireDecided(plan);
 */
export function planMasking(
  db: Queryable,
  rules: MaskingRules,
  options: PlanMaskingOptions = {},
): Promise<MaskingPlan> {
  return withoutJit(db, () => plan(db, rules, options));
}

async function plan(
  db: Queryable,
  rules: MaskingRules,
  { leftOut = () => [], isTried = true }: PlanMaskingOptions,
): Promise<MaskingPlan> {
  const tables = await readMaskableTables(db);
  const foreignKeys = await readMaskingForeignKeys(db);
  const uniqueKeys = await readUniqueKeys(db);
  const resolved = resolveRules(tables, rules, leftOut(tables));
  const ruled = new Map(resolved.tables.map((one) => [one.table.oid, one]));
  const limits = new Limits(ruled, foreignKeys);
  const unique = findingsOfUniqueKeys(ruled, uniqueKeys, limits);
  const foreign = problemsOfForeignKeys(ruled, foreignKeys);
  const fitting: MaskingProblem[] = [];
  for (const one of resolved.tables) if (one.hasRows) fitting.push(...(await problemsOfRules(one)));
  const problems = [...resolved.problems, ...fitting, ...unique.problems, ...foreign.problems];
  const checks = await readMaskingChecks(db);
  const planned = resolved.tables.map((one): PlannedTable => {
    const own = checks.filter(({ tableOid }) => tableOid === one.table.oid);
    return { ruled: one, select: selectOf(one, limits), checks: own };
  });
  // what does not fit by its kind need not be tried, and what is undecided cannot be
  const sound = planned.filter(
    ({ ruled: one }) => one.hasRows && !problems.some(({ table }) => table === qualified(one.table)),
  );
  const tried = isTried ? await tryMasking(db, sound) : [];
  const proposer = new Proposer({ tables, foreignKeys, uniqueKeys, shapes: await readColumnShapes(db) });
  return {
    checksum: rules.checksum,
    tables: planned.map(maskedTable),
    undecided: resolved.tables.filter(({ hasRows }) => hasRows).flatMap((one) => undecidedOf(one, proposer)),
    problems: [...problems, ...tried],
    literals: await planLiterals(db, rules.literals),
    commentsLeftOut: !rules.literals.hasComments,
    warnings: [...new Set([...unique.warnings, ...foreign.warnings])],
  };
}

/**
 * Refuses a plan that cannot be carried out: something in it is undecided or not acknowledged, or does not fit. What definitions
 * say stands in the hint alone: messages are kept in operation logs.
 *
 * @throws ManageDbError `DRIFT` with the lines to add to the rules, and every problem with its place
 */
export async function requireDecided(plan: MaskingPlan): Promise<void> {
  const { undecided, problems, literals } = plan;
  const { unacknowledged } = literals;
  if (undecided.length === 0 && problems.length === 0 && unacknowledged.length === 0) return;
  const lines = await ruleLines(undecided);
  const broken = problems.filter(({ definition }) => definition !== undefined).map(problemText);
  const acknowledging = await literalLines(unacknowledged);
  const message = [
    ...problems.map(({ definition, ...problem }) => problemText(problem)),
    ...(undecided.length === 0
      ? []
      : [`${countOf(undecided.length)} no rule. To add below "tables:", with what you decide:`, ...lines]),
    ...(unacknowledged.length === 0
      ? []
      : [
          `What ${unacknowledged.length === 1 ? 'one definition says' : `${unacknowledged.length} definitions say`} is not acknowledged:`,
          ...unacknowledged.map(({ name, isChanged }) => `  ${name}${isChanged ? ' (changed)' : ''}`),
        ]),
  ].join('\n');
  throw new ManageDbError('DRIFT', message, {
    hint: [
      'Complete the masking rules, and run: manage_db masking check',
      ...broken,
      ...(acknowledging.length === 0
        ? []
        : ['To add below "literals:", once somebody has looked at each:', ...acknowledging]),
    ].join('\n'),
    details: {
      undecided: undecided.map(({ proposal, ...column }) => column),
      problems,
      lines,
      literals: unacknowledged.map(({ name, digest, isChanged }) => ({ name, digest, isChanged })),
      literalLines: acknowledging,
    },
  });
}

function problemText({ table, column, message, place, definition }: MaskingProblem): string {
  const what = column === null ? table : `${table}.${column}`;
  return `${place === null ? '' : `${place}: `}${what}: ${message}${definition === undefined ? '' : `: ${definition}`}.`;
}

/**
 * What is selected from a table instead of its rows, for the engine that copies; `null`: as it is, what manage_db itself needs.
 *
 * @throws ManageDbError `INTERNAL` for a table, or a column, that the plan does not know: it was made meanwhile, and nobody has
 *   decided; and for a table that comes without rows
 * @example streamInto({ …, select: selectionOf(plan), prepareSource: (client) => setMaskingSalt(client, salt),
 *   leaveOut: { largeObjects: true, rowsOf: emptyInMasked(plan, tables) } })
 */
export function selectionOf({
  tables,
}: MaskingPlan): (
  table: Pick<TableToSelect, 'schema' | 'name'> & Partial<TableToSelect>,
) => readonly SelectedColumn[] | null {
  const planned = new Map(
    tables.flatMap((table) =>
      [table, ...table.partitions].map((one) => [JSON.stringify([one.schema, one.name]), table] as const),
    ),
  );
  return ({ schema, name, columns = [] }) => {
    const table = planned.get(JSON.stringify([schema, name]));
    if (table === undefined) throw madeMeanwhile(qualified({ schema, name }));
    if (!table.hasRows) {
      const message = `The rows of ${qualified({ schema, name })} are no part of a masked copy.`;
      throw new ManageDbError('INTERNAL', message);
    }
    const unknown = columns.find((column) => !table.select.some((one) => one.column === column));
    if (unknown !== undefined) throw madeMeanwhile(`${qualified({ schema, name })}.${unknown}`);
    return table.select;
  };
}

function madeMeanwhile(what: string): ManageDbError {
  return new ManageDbError('INTERNAL', `${what} is not part of the masking plan: it was made meanwhile.`, {
    hint: 'Run the same again.',
  });
}

function selectOf({ table, columns }: RuledTable, limits: Limits): SelectedColumn[] {
  return columns.map(({ column, rule }) => {
    // without a decision nothing leaves the server, not even by mistake
    const decided: Rule = rule ?? { kind: 'null' };
    const key =
      decided.kind === 'date-shift' ? columns.find((one) => one.column.column === decided.by)?.column : undefined;
    const limit = limits.of(table.oid, column.column);
    return { column: column.column, expression: columnExpression({ column, rule: decided, limit, key: key ?? null }) };
  });
}

function maskedTable({ ruled: { table, hasRows, columns }, select }: PlannedTable): MaskedTable {
  const { schema, name, partitions } = table;
  const masked = columns.filter(({ rule }) => rule !== null && rule.kind !== 'keep').map(({ column }) => column.column);
  return { schema, name, hasRows, select, partitions, maskedColumns: masked };
}

function undecidedOf({ table, columns }: RuledTable, proposer: Proposer): Undecided[] {
  return columns
    .filter(({ rule }) => rule === null)
    .map(({ column }) => ({
      schema: table.schema,
      table: table.name,
      column: column.column,
      type: column.declared,
      proposal: proposer.proposeFor(table, column),
    }));
}

function countOf(count: number): string {
  return count === 1 ? 'One column has' : `${count} columns have`;
}
