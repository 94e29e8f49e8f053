import { randomInt } from 'node:crypto';
import type { ValueType } from '../../../database/catalog/value-types.js';
import type { Queryable } from '../../../database/queryable.js';
import { constantsOf } from './candidates.js';
import { acceptable, type Choice, chooseValues, type Value } from './choose-values.js';
import { readExpression } from './expression.js';
import type { Condition, RelationModel } from './model.js';
import { NoRow } from './savepoint.js';

export interface ColumnCandidates {
  /** The best ones first; asked for only where they are needed. */
  readonly values: () => Promise<readonly Value[]>;
  /** Is left out where no condition needs it. */
  readonly isOptional: boolean;
  /** In any order, lest the same value be chosen each time. */
  readonly isVaried: boolean;
}

export type Candidates = Map<string, ColumnCandidates>;

interface Request {
  readonly model: RelationModel;
  /** Values that are decided. */
  readonly row: ReadonlyMap<string, Value>;
  readonly candidates: Candidates;
  readonly types: ReadonlyMap<number, ValueType>;
  readonly isAnywhere: boolean;
}

/**
 * Chooses a value for each column that needs one, so that all conditions of the relation are met.
 *
 * @throws NoRow when none of the candidates fit
 */
export async function chooseRow(db: Queryable, request: Request): Promise<Map<string, Value>> {
  const { model, candidates } = request;
  const conditions = await conditionsFor(request);
  const open = new Map<string, readonly Value[]>();
  for (const [name, { values, isOptional, isVaried }] of candidates) {
    const own = conditions.filter(({ columns }) => columns.includes(name));
    const column = model.columns.get(name);
    if (column === undefined || column.generated !== null || column.identity !== null) continue;
    if (isOptional && own.length === 0) continue;
    const usual = await values();
    if (isOptional && usual.length === 0) continue;
    open.set(name, await fitting(db, { request, name, values: isVaried ? shuffled(usual) : usual, conditions: own }));
  }
  const row = new Map(request.row);
  for (const group of groupsOf(conditions, open)) await decide(db, { request, group, open, row });
  for (const [name, values] of open) if (!row.has(name)) row.set(name, values[0] ?? null);
  return row;
}

/** The conditions of the relation and of one of its partitions, with the columns that stand in them. */
async function conditionsFor({ model, row, isAnywhere }: Request): Promise<readonly Condition[]> {
  const all: Condition[] = [...model.conditions];
  const route = isAnywhere || model.routes.length === 0 ? undefined : model.routes[randomInt(model.routes.length)];
  if (route !== undefined) all.push({ expression: route, columns: [] });
  const read = await Promise.all(
    all.map(async ({ expression, columns }) => {
      const named = (await readExpression(expression)).columns.flatMap((path) => path.at(-1) ?? []);
      const direct = [...columns, ...named].filter((name) => model.columns.has(name));
      const sources = await Promise.all(direct.map((name) => sourcesOf(model, name)));
      return { expression, columns: [...new Set([...direct, ...sources.flat()])] };
    }),
  );
  // what is decided altogether was so for a reason, and need not be in that very partition
  return read.filter(({ columns }) => columns.some((name) => !row.has(name)));
}

async function sourcesOf(model: RelationModel, name: string): Promise<readonly string[]> {
  const generated = model.columns.get(name)?.generated;
  if (generated == null) return [];
  const { columns } = await readExpression(generated);
  return columns.flatMap((path) => path.at(-1) ?? []).filter((source) => model.columns.has(source));
}

async function fitting(
  db: Queryable,
  {
    request: { model, types },
    name,
    values,
    conditions,
  }: { request: Request; name: string; values: readonly Value[]; conditions: readonly Condition[] },
): Promise<readonly Value[]> {
  const column = model.columns.get(name);
  if (column === undefined) return [];
  const place = `${model.schema}.${model.name}.${name}`;
  if (conditions.length === 0) {
    if (values.length > 0) return values;
    throw new NoRow(`No value is known for ${place} (${column.type}).`);
  }
  const expressions = conditions.map(({ expression }) => expression);
  const category = types.get(column.typeOid)?.category ?? '';
  const alone = conditions.filter(({ columns }) => columns.length === 1).map(({ expression }) => expression);
  const constants = await constantsOf(expressions, { category });
  const all = [...values, ...constants];
  const accepted = await acceptable(db, { column: name, type: column.type, candidates: all }, alone);
  if (accepted === null) return all;
  if (accepted.length > 0) return accepted;
  throw new NoRow(`No value was found for ${place} (${column.type}) that satisfies ${alone.join(' and ')}.`);
}

/** Conditions that share a column are decided together. */
function groupsOf(
  conditions: readonly Condition[],
  open: ReadonlyMap<string, unknown>,
): readonly (readonly Condition[])[] {
  const groups: { columns: Set<string>; conditions: Condition[] }[] = [];
  for (const condition of conditions.filter(({ columns }) => columns.length > 1)) {
    const columns = condition.columns.filter((name) => open.has(name));
    const touching = groups.filter((group) => columns.some((name) => group.columns.has(name)));
    for (const group of touching) groups.splice(groups.indexOf(group), 1);
    groups.push({
      columns: new Set([...columns, ...touching.flatMap((group) => [...group.columns])]),
      conditions: [...touching.flatMap((group) => group.conditions), condition],
    });
  }
  return groups.map((group) => group.conditions);
}

async function decide(
  db: Queryable,
  {
    request: { model },
    group,
    open,
    row,
  }: {
    request: Request;
    group: readonly Condition[];
    open: ReadonlyMap<string, readonly Value[]>;
    row: Map<string, Value>;
  },
): Promise<void> {
  const names = [...new Set(group.flatMap(({ columns }) => columns))];
  const choices = names.flatMap((column): Choice[] => {
    const { type, generated, identity } = model.columns.get(column) ?? {};
    if (type === undefined || generated !== null) return [];
    const known = row.get(column);
    // a number that PostgreSQL will give is any number
    const candidates = known === undefined ? (open.get(column) ?? [identity === null ? null : '1']) : [known];
    return [{ row: model.name, column, type, candidates }];
  });
  const conditions = group.map(({ expression }) => expression);
  const generated = names.flatMap((column) => {
    const expression = model.columns.get(column)?.generated;
    return expression == null ? [] : [{ column, expression }];
  });
  const chosen = await chooseValues(db, { choices, conditions, accepts: 'is not false', generated });
  // it may be that they can be evaluated only in the table itself: then that has to say
  if (chosen === null) return;
  choices.forEach(({ column }, index) => {
    if (open.has(column)) row.set(column, chosen[index] ?? null);
  });
}

function shuffled(values: readonly Value[]): readonly Value[] {
  const rest = [...values];
  const mixed: Value[] = [];
  while (rest.length > 0) mixed.push(...rest.splice(randomInt(rest.length), 1));
  return mixed;
}
