import { readColumnShapes } from '../../../../database/catalog/column-shapes.js';
import { readMaskableTables } from '../../../../database/catalog/maskable-tables.js';
import { readMaskingForeignKeys } from '../../../../database/catalog/masking-foreign-keys.js';
import { readUniqueKeys } from '../../../../database/catalog/masking-keys.js';
import type { Queryable } from '../../../../database/queryable.js';
import { withoutJit } from '../../../../database/without-jit.js';
import { qualified } from '../../inspection/find-relation.js';
import type { UnacknowledgedLiterals } from './literals/plan-literals.js';
import { type PlanMaskingOptions, planMasking } from './plan.js';
import { Proposer } from './propose.js';
import type { Undecided } from './rule-lines.js';
import { type ColumnRule, NO_LITERALS, type TableRules } from './rules.js';

export interface MaskingProposal {
  readonly columns: readonly Undecided[];
  /** Nobody but people acknowledges them. */
  readonly literals: readonly UnacknowledgedLiterals[];
}

/**
 * A proposal for every column whose rows would be copied. One that does not fit its table is taken back: the column is
 * undecided then, and says why. What definitions say is listed.
 *
 * @param db in a transaction, with the search_path pinned
 */
export function proposeMasking(
  db: Queryable,
  { leftOut = () => [] }: Pick<PlanMaskingOptions, 'leftOut'> = {},
): Promise<MaskingProposal> {
  return withoutJit(db, () => propose(db, leftOut));
}

async function propose(db: Queryable, leftOut: NonNullable<PlanMaskingOptions['leftOut']>): Promise<MaskingProposal> {
  const all = await readMaskableTables(db);
  const without = leftOut(all);
  const tables = all.filter(({ schema, name }) => !without.some((one) => one.schema === schema && one.name === name));
  const proposer = new Proposer({
    tables,
    foreignKeys: await readMaskingForeignKeys(db),
    uniqueKeys: await readUniqueKeys(db),
    shapes: await readColumnShapes(db),
  });
  const columns = tables.flatMap((table) =>
    table.columns.map(
      (column): Undecided => ({
        schema: table.schema,
        table: table.name,
        column: column.column,
        type: column.declared,
        proposal: proposer.proposeFor(table, column),
      }),
    ),
  );
  const rules = { file: null, checksum: '', tables: rulesOf(columns), literals: NO_LITERALS };
  const { problems, literals } = await planMasking(db, rules, { leftOut });
  const proposed = columns.map((one) => {
    const problem = problems.find(({ table, column }) => column === one.column && table === tableOf(one));
    return problem === undefined ? one : { ...one, proposal: { rule: null, why: `decide (${problem.message})` } };
  });
  return { columns: proposed, literals: literals.unacknowledged };
}

function rulesOf(columns: readonly Undecided[]): TableRules[] {
  const tables = new Map<string, ColumnRule[]>();
  for (const one of columns) {
    const rule = { column: one.column, rule: one.proposal.rule, place: '' };
    tables.set(tableOf(one), [...(tables.get(tableOf(one)) ?? []), rule]);
  }
  return [...tables].map(([table, own]) => ({ table, place: '', hasRows: true, columns: own }));
}

function tableOf({ schema, table }: Undecided): string {
  return qualified({ schema, name: table });
}
