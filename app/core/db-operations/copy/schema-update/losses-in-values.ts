import type { Action, StableId } from '@supabase/pg-delta';
import { readColumnsOfType } from '../../../../database/catalog/columns-of-type.js';
import type { TableName } from '../../../../database/catalog/rows-at-stake.js';
import type { Queryable } from '../../../../database/queryable.js';
import { nameOf } from '../../compare/object-names.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import { mayHaveRows, sizeWords } from './rows-there.js';
import type { StatementRisk } from './statement-risk.js';
import type { UpdateSteps } from './update-steps.js';

type TypeAttribute = Extract<StableId, { readonly type: string }>;
type Column = Extract<StableId, { readonly table: string; readonly name: string }>;

/** What is lost in the values of a composite type. */
export function lossOfAttribute(db: Queryable, attribute: TypeAttribute): Promise<StatementRisk[]> {
  const type = { schema: attribute.schema, name: attribute.type };
  return lossesInValues(db, type, `The attribute ${nameOf(attribute)} is dropped`);
}

/** What is lost where rows of the table are values in others. */
export function lossInRowValues(db: Queryable, column: Column): Promise<StatementRisk[]> {
  const table = { schema: column.schema, name: column.table };
  return lossesInValues(db, table, `The column ${nameOf(column)} is dropped`);
}

/** Tables without values are named, too: nobody may write one before all is done. */
async function lossesInValues(db: Queryable, type: TableName, what: string): Promise<StatementRisk[]> {
  const risks: StatementRisk[] = [];
  for (const { schema, name, column, isTable } of await readColumnsOfType(db, type)) {
    const relation = { schema, name };
    const where = `${qualified(relation)}.${quotedWhereNeeded(column)}`;
    const table = isTable ? relation : null;
    const isLoss = await mayHaveRows(db, relation, column);
    risks.push(
      isLoss
        ? { kind: 'loss', text: `${what}, with its values in ${where}.`, table }
        : { kind: 'note', text: `${what}. There is no value of its type in ${where}.`, table },
    );
  }
  return risks;
}

/** A computed column that is to be an ordinary one is dropped and added again, so that its values are gone. */
export async function lossesOfComputed(
  db: Queryable,
  { destroys }: Action,
  { present, desired }: Pick<UpdateSteps, 'present' | 'desired'>,
): Promise<StatementRisk[]> {
  const losses: StatementRisk[] = [];
  for (const id of destroys) {
    const wanted = id.kind === 'column' ? desired.get(id) : undefined;
    if (id.kind !== 'column' || wanted === undefined || wanted.payload.generatedExpr != null) continue;
    const table = { schema: id.schema, name: id.table };
    if (present.get(id)?.payload.generatedExpr == null || !(await mayHaveRows(db, table, id.name))) continue;
    const text = `The column ${nameOf(id)} is computed no more: it is dropped, with its values in ${await sizeWords(db, table)}, and made again.`;
    losses.push({ kind: 'loss', text, table });
  }
  return losses;
}
