import type { TestableTrigger } from '../../../database/catalog/testable-triggers.js';
import type { TriggerEvent } from '../../../database/catalog/triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import { CandidateSource, constantsOf } from './candidates.js';
import { acceptable, type Choice, chooseValues, type Value } from './choose-values.js';
import { readExpression } from './expression.js';
import type { Models, RelationModel } from './model.js';

/** Values that make the condition of a trigger true. */
export interface WhenRows {
  readonly old: ReadonlyMap<string, Value>;
  readonly new: ReadonlyMap<string, Value>;
}

/** Finds values for the columns in a trigger's WHEN; `null` where it has none, or where they cannot be read from it. */
export async function whenRows(
  db: Queryable,
  models: Models,
  { trigger, model, event }: { trigger: TestableTrigger; model: RelationModel; event: TriggerEvent },
): Promise<WhenRows | null> {
  const { when } = trigger;
  if (when === null) return null;
  const { columns } = await readExpression(when);
  const paths = new Map(columns.map((path) => [path.join('\0'), path]));
  const source = new CandidateSource(db, models.types);
  const choices: Choice[] = [];
  for (const [row = '', name = ''] of paths.values()) {
    const column = model.columns.get(name);
    if (column === undefined || !['old', 'new'].includes(row) || column.generated !== null) continue;
    const category = models.types.get(column.typeOid)?.category ?? '';
    const all = [...(await source.ofColumn(column)), ...(await constantsOf([when], { category })), ...empty(column)];
    const own = model.conditions.filter(({ columns: only }) => only.length === 1 && only[0] === name);
    const candidates = await acceptable(
      db,
      { column: name, type: column.type, candidates: all },
      own.map(({ expression }) => expression),
    );
    choices.push({ row, column: name, type: column.type, candidates: candidates ?? all });
  }
  if (choices.length === 0) return null;
  const chosen = await chooseValues(db, { choices, conditions: [when], accepts: 'is true' });
  if (chosen === null) return null;
  const rowOf = (wanted: string): ReadonlyMap<string, Value> =>
    new Map(
      choices.flatMap(({ row, column }, index) => (row === wanted ? [[column, chosen[index] ?? null] as const] : [])),
    );
  return { old: event === 'INSERT' ? new Map() : rowOf('old'), new: event === 'DELETE' ? new Map() : rowOf('new') };
}

function empty({ isNullable }: { readonly isNullable: boolean }): readonly Value[] {
  return isNullable ? [null] : [];
}
