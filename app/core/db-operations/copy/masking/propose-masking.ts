import { readColumnShapes } from '../../../../database/catalog/column-shapes.js';
import { readMaskableTables } from '../../../../database/catalog/maskable-tables.js';
import { readMaskingForeignKeys } from '../../../../database/catalog/masking-foreign-keys.js';
import { readUniqueKeys } from '../../../../database/catalog/masking-keys.js';
import type { Queryable } from '../../../../database/queryable.js';
import { qualified } from '../../inspection/find-relation.js';
import { type PlanMaskingOptions, planMasking } from './plan.js';
import { Proposer } from './propose.js';
import type { Undecided } from './rule-lines.js';
import type { ColumnRule, TableRules } from './rules.js';

/**
 * A proposal for every column whose rows would be copied. One that does not fit its table is taken back: the column is
 * undecided then, and says why.
 *
 * @param db in a transaction, with the search_path pinned
 */
export async function proposeMasking(
  db: Queryable,
  { leftOut = () => [] }: Pick<PlanMaskingOptions, 'leftOut'> = {},
): Promise<readonly Undecided[]> {
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
  const { problems } = await planMasking(db, { file: null, checksum: '', tables: rulesOf(columns) }, { leftOut });
  return columns.map((one) => {
    const problem = problems.find(({ table, column }) => column === one.column && table === tableOf(one));
    return problem === undefined ? one : { ...one, proposal: { rule: null, why: `decide (${problem.message})` } };
  });
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
