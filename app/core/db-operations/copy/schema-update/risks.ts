import type { Action, Delta, FactBase, StableId } from '@supabase/pg-delta';
import { escapeIdentifier } from 'pg';
import { countChangedValues, type TableName } from '../../../../database/catalog/rows-at-stake.js';
import { inSavepoint } from '../../../../database/in-savepoint.js';
import type { Queryable } from '../../../../database/queryable.js';
import { isServerError } from '../../../../services/database-errors.js';
import { messageOf } from '../../../errors.js';
import { nameOf } from '../../compare/object-names.js';
import { qualified } from '../../inspection/find-relation.js';
import { keepsValues } from './keeps-values.js';
import { lossesOfComputed, lossInRowValues, lossOfAttribute } from './losses-in-values.js';
import { mayHaveRows, sizeWords } from './rows-there.js';
import { lossesOfSequences } from './sequence-positions.js';
import type { StatementRisk } from './statement-risk.js';
import type { UpdateSteps } from './update-steps.js';

export type { StatementRisk } from './statement-risk.js';

type ColumnId = Extract<StableId, { readonly table: string; readonly name: string }>;

/** What each statement puts at risk, by what the rows are now; in the order of the actions. */
export async function readRisks(db: Queryable, steps: UpdateSteps): Promise<StatementRisk[][]> {
  const risks: StatementRisk[][] = [];
  for (const action of steps.actions) risks.push(await risksOf(db, action, steps));
  return risks;
}

async function risksOf(db: Queryable, action: Action, steps: UpdateSteps): Promise<StatementRisk[]> {
  const conversion = conversionOf(action, steps.deltas);
  return [
    ...(action.dataLoss === 'destructive' ? await lossesOf(db, action, steps) : []),
    ...(await lossesOfComputed(db, action, steps)),
    ...(await lossesOfSequences(db, action, steps)),
    ...(conversion === null ? [] : await risksOfConversion(db, conversion, steps)),
    ...(await rewriteOf(db, action, steps.present)),
    ...failureOf(action),
  ];
}

async function lossesOf(db: Queryable, action: Action, { present, desired }: UpdateSteps): Promise<StatementRisk[]> {
  const { destroys } = action;
  const [tables, views] = [named(destroys, 'table'), named(destroys, 'materializedView')];
  const columns = destroys.flatMap((id) => (id.kind === 'column' ? [id] : []));
  if (action.verb === 'drop' && tables.length > 0) {
    return oneByOne(tables, async (table) => [await lossOfTable(db, table, desired)]);
  }
  if (views.length > 0) return views.map((view) => note(`The materialized view ${qualified(view)} is dropped.`));
  if (columns.length > 0) {
    return oneByOne(columns, (column) => lossOfColumn(db, column, present));
  }
  const [attribute] = destroys.flatMap((id) => (id.kind === 'typeAttribute' ? [id] : []));
  if (attribute !== undefined) return lossOfAttribute(db, attribute);
  if (isOfLabels(action)) return [];
  return [{ kind: 'loss', text: `Rows may be lost by: ${firstLine(action.sql)}`, table: null }];
}

/** Savepoints are the session's: two that look at the same moment would roll back to one another's. */
async function oneByOne<T>(all: readonly T[], look: (one: T) => Promise<StatementRisk[]>): Promise<StatementRisk[]> {
  const risks: StatementRisk[] = [];
  for (const one of all) risks.push(...(await look(one)));
  return risks;
}

async function lossOfTable(db: Queryable, table: TableName, desired: FactBase): Promise<StatementRisk> {
  const name = qualified(table);
  const again = desired.has({ kind: 'table', schema: table.schema, name: table.name })
    ? ' It is made again, and is empty then.'
    : '';
  if (!(await mayHaveRows(db, table))) return note(`The table ${name} is dropped. It is empty.${again}`);
  return { kind: 'loss', text: `The table ${name} is dropped, with ${await sizeWords(db, table)}.${again}`, table };
}

async function lossOfColumn(db: Queryable, column: ColumnId, present: FactBase): Promise<StatementRisk[]> {
  const table = { schema: column.schema, name: column.table };
  if (!present.has({ kind: 'table', ...table })) return [];
  const elsewhere = await lossInRowValues(db, column);
  // what is computed can be computed again
  if (present.get(column)?.payload.generatedExpr != null) return elsewhere;
  const name = nameOf(column);
  if (!(await mayHaveRows(db, table, column.name))) {
    return elsewhere.some(({ kind }) => kind === 'loss')
      ? elsewhere
      : [note(`The column ${name} is dropped. It holds no value.`), ...elsewhere];
  }
  const text = `The column ${name} is dropped, with its values in ${await sizeWords(db, table)}.`;
  return [{ kind: 'loss', text, table }, ...elsewhere];
}

/** Labels of an enum are taken away by writing each value again under its name: what has none any more fails. */
export function isOfLabels({ verb, sql }: Action): boolean {
  return verb === 'alter' && / ALTER COLUMN .* TYPE .* USING .*::text/s.test(sql);
}

export interface TypeChange {
  readonly column: ColumnId;
  readonly from: string;
  readonly to: string;
}

/** The change of a column's type that an action is; `null`: it is none. */
export function conversionOf({ sql }: Action, deltas: readonly Delta[]): TypeChange | null {
  for (const delta of deltas) {
    if (delta.verb !== 'set' || delta.attr !== 'type' || delta.id.kind !== 'column') continue;
    const { schema, table, name } = delta.id;
    const [inSchema, of, column] = [schema, table, name].map((one) => escapeIdentifier(one));
    if (!sql.startsWith(`ALTER TABLE ${inSchema}.${of} ALTER COLUMN ${column} TYPE `)) continue;
    return { column: delta.id, from: String(delta.from), to: String(delta.to) };
  }
  return null;
}

async function risksOfConversion(
  db: Queryable,
  { column, from, to }: TypeChange,
  { desired, present }: UpdateSteps,
): Promise<StatementRisk[]> {
  if (keepsValues(from, to) || present.get(column)?.payload.generatedExpr != null) return [];
  const table = { schema: column.schema, name: column.table };
  const what = `The column ${nameOf(column)} becomes ${to} instead of ${from}`;
  const fails: StatementRisk = { kind: 'failure', text: `${what}: it fails where a value does not fit.`, table };
  // a label is written as it was, or it is none
  if (isEnum(to, desired)) return [fails];
  const counting = { table, column: column.name, from, to };
  try {
    const changed = await inSavepoint(db, () => countChangedValues(db, counting));
    if (changed === 0) return [note(`${what}. Each value stays what it is.`)];
    return [{ kind: 'loss', text: `${what}: the values of ${changed} rows do not stay what they are.`, table }];
  } catch (error) {
    if (!isServerError(error) || /^(53|55|57|25|40)/.test(error.code)) throw error;
    if (/^22/.test(error.code)) return [{ kind: 'failure', text: `${what}: ${messageOf(error)}.`, table }];
    const cannotTell = `whether values stay what they are cannot be told beforehand (${messageOf(error)})`;
    if (!(await mayHaveRows(db, table, column.name))) return [];
    return [{ kind: 'loss', text: `${what}: ${cannotTell}.`, table }];
  }
}

/** Whether the type is an enum of `desired`. */
export function isEnum(type: string, desired: FactBase): boolean {
  return desired.facts().some(({ id, payload }) => {
    if (id.kind !== 'type' || payload.variant !== 'enum') return false;
    return type === qualified(id) || type === `${escapeIdentifier(id.schema)}.${escapeIdentifier(id.name)}`;
  });
}

async function rewriteOf(db: Queryable, action: Action, present: FactBase): Promise<StatementRisk[]> {
  if (!action.rewriteRisk) return [];
  const [table] = tablesOf(action).filter((one) => present.has({ kind: 'table', ...one }));
  if (table === undefined || !(await mayHaveRows(db, table))) return [];
  const words = await sizeWords(db, table);
  return [{ kind: 'rewrite', text: `The table ${qualified(table)} may be written anew: ${words}.`, table }];
}

function failureOf({ sql }: Action): StatementRisk[] {
  const text = FAILURES.find(([pattern]) => pattern.test(sql))?.[1];
  return text === undefined ? [] : [{ kind: 'failure', text, table: null }];
}

const FAILURES: readonly (readonly [RegExp, string])[] = [
  [/^ALTER TABLE .* SET NOT NULL/, 'It fails where a row has no value.'],
  [
    /^ALTER TABLE .* ADD COLUMN (?!.* (DEFAULT|GENERATED) ).*NOT NULL/s,
    'It fails where there is a row: that has no value.',
  ],
  [/^ALTER TABLE .* ADD CONSTRAINT .* FOREIGN KEY(?!.*NOT VALID)/s, 'It fails where a row points at nothing.'],
  [/^ALTER TABLE .* ADD CONSTRAINT .* (PRIMARY KEY|UNIQUE)/s, 'It fails where rows have the same values.'],
  [/^ALTER TABLE .* ADD CONSTRAINT (?!.*NOT VALID)/s, 'It fails where a row violates it.'],
  [/^ALTER TABLE .* VALIDATE CONSTRAINT/s, 'It fails where a row violates it.'],
  [/^CREATE UNIQUE INDEX/, 'It fails where rows have the same values.'],
  [/^ALTER TABLE .* ALTER COLUMN .* TYPE .* USING .*::text/s, 'It fails where a row has a label that is taken away.'],
];

/** The tables that an action names, or whose parts it names. */
export function tablesOf(action: Action): TableName[] {
  const { produces, consumes, destroys, releases } = action;
  const tables = [...produces, ...destroys, ...releases, ...consumes].flatMap((id) => {
    const at = 'target' in id ? id.target : id;
    if (at.kind === 'table') return [{ schema: at.schema, name: at.name }];
    return 'table' in at ? [{ schema: at.schema, name: at.table }] : [];
  });
  return [...new Map(tables.map((table) => [JSON.stringify(table), table])).values()];
}

function named(ids: readonly StableId[], kind: 'table' | 'materializedView'): TableName[] {
  return ids.flatMap((id) => (id.kind === kind ? [{ schema: id.schema, name: id.name }] : []));
}

function note(text: string): StatementRisk {
  return { kind: 'note', text, table: null };
}

function firstLine(sql: string): string {
  return sql.trim().split('\n', 1)[0] ?? '';
}
