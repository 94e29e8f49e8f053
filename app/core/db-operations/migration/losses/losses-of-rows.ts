import { escapeIdentifier } from 'pg';
import { type DeletingKey, readDeletingKeys } from '../../../../database/catalog/deleting-keys.js';
import { type NamedRelation, readVolatileFunctions } from '../../../../database/catalog/named-objects.js';
import type { ChosenRows, StatementEffect } from '../../../../services/sql-script.js';
import { qualified, quotedWhereNeeded } from '../../inspection/find-relation.js';
import type { CountedRows } from './count-rows.js';
import type { FoundLoss, LossWork } from './loss-work.js';
import { amount, takenBy } from './words.js';

type Effect = Extract<StatementEffect, { readonly type: 'delete' | 'update' | 'merge' | 'truncate' }>;
type Changing = Extract<StatementEffect, { readonly type: 'delete' | 'update' }>;

/** Foreign keys that lead on: each is a query within the one before. */
const DEEPEST = 4;

/** What DELETE, UPDATE, TRUNCATE and their like lose, in rows. */
export async function lossesOfRows(work: LossWork, effect: Effect): Promise<readonly FoundLoss[]> {
  if (effect.type === 'truncate') return lossesOfTruncate(work, effect);
  const table = await work.names.find(effect.table);
  if (table === null) return [];
  if (effect.type === 'merge') {
    const all = await work.counter.rowsOf(table, false);
    return all.rows === 0 && !all.isEstimate
      ? []
      : [
          uncounted(work, table, {
            what: `may change rows of`,
            all,
            because: `of ${effect.verb} they are not counted`,
          }),
        ];
  }
  return lossesOfChange(work, table, effect);
}

async function lossesOfChange(work: LossWork, table: NamedRelation, effect: Changing): Promise<readonly FoundLoss[]> {
  const { counter, names } = work;
  const counted = await countChosen(work, table, effect);
  if (counted.rows === 0) return [];
  const what =
    effect.type === 'delete' ? 'deletes' : `overwrites ${effect.columns.map(quotedWhereNeeded).join(', ')} in`;
  const kind = effect.type === 'delete' ? 'deleted_rows' : 'updated_rows';
  if (counted.rows === null) {
    const all = await counter.rowsOf(table, false);
    if (all.rows === 0 && !all.isEstimate) return [];
    const loss = uncounted(work, table, { what: `${what} rows of`, all, because: counted.because ?? '' });
    return [{ ...loss, kind }];
  }
  const loss: FoundLoss = {
    kind,
    object: qualified(table),
    rows: counted.rows,
    isEstimate: false,
    sentence: `${what} ${amount(counted, 'row')} of ${names.shown(table)}`,
  };
  if (effect.type === 'update' || effect.rows === null) return [loss];
  return [loss, ...(await lossesByKeys(work, table, selectOf(effect.rows), [table.oid]))];
}

async function countChosen(work: LossWork, table: NamedRelation, effect: Changing): Promise<CountedRows> {
  const { db, counter, names } = work;
  const not = (because: string): CountedRows => ({ rows: null, isEstimate: false, because });
  if (effect.rows === null) return not('its condition cannot be read');
  const [called] = await readVolatileFunctions(db, effect.functions);
  if (called !== undefined) return not(`it calls ${called}, which may do something`);
  const { rows } = effect;
  const columns = table.kind === 'v' ? '' : `select distinct ${rows.row}.tableoid, ${rows.row}.ctid`;
  const select = `${columns === '' ? 'select 1' : columns} from ${rows.from}\n${rows.where}`;
  return counter.countedBy(
    `${rows.with}select pg_catalog.count(*)::text as rows from (${select}\n) chosen`,
    names.searchPath,
  );
}

function uncounted(
  { names }: LossWork,
  table: NamedRelation,
  { what, all, because }: { readonly what: string; readonly all: CountedRows; readonly because: string },
): FoundLoss {
  const size = all.rows === null ? '' : `; it has ${amount(all, 'row')}`;
  const sentence = `${what} ${names.shown(table)}: how many cannot be counted (${because})${size}`;
  return { kind: 'updated_rows', object: qualified(table), rows: null, isEstimate: false, sentence };
}

/** Gives a select of columns of the chosen rows. */
type SelectRows = (columns: readonly string[]) => string;

function selectOf({ with: before, from, where, row }: ChosenRows): SelectRows {
  return (columns) =>
    `${before}select ${columns.map((name) => `${row}.${escapeIdentifier(name)}`).join(', ')} from ${from}\n${where}`;
}

/** What foreign keys delete or overwrite along with rows of `table`. */
async function lossesByKeys(
  work: LossWork,
  table: NamedRelation,
  select: SelectRows,
  seen: readonly string[],
): Promise<readonly FoundLoss[]> {
  if (seen.length > DEEPEST) return [];
  const losses: FoundLoss[] = [];
  for (const key of await readDeletingKeys(work.db, table.oid)) {
    if (key.action === 'NO ACTION' || seen.includes(key.oid) || work.names.isLost(key.oid)) continue;
    const rows = referring(key, select);
    const counted = await work.counter.countedBy(
      `select pg_catalog.count(*)::text as rows from (${rows(key.columns)}\n) chosen`,
      work.names.searchPath,
    );
    if (counted.rows === 0) continue;
    losses.push(lossByKey(work, table, key, counted));
    if (key.action !== 'CASCADE') continue;
    losses.push(...(await lossesByKeys(work, { ...key, kind: 'r' }, rows, [...seen, key.oid])));
  }
  return losses;
}

function referring(key: DeletingKey, select: SelectRows): SelectRows {
  const condition = `(${key.columns.map((name) => `referring.${escapeIdentifier(name)}`).join(', ')}) in (${select(key.referenced)}\n)`;
  const from = `${escapeIdentifier(key.schema)}.${escapeIdentifier(key.name)}`;
  return (columns) =>
    `select ${columns.map((name) => `referring.${escapeIdentifier(name)}`).join(', ')} from ${from} referring where ${condition}`;
}

function lossByKey({ names }: LossWork, table: NamedRelation, key: DeletingKey, counted: CountedRows): FoundLoss {
  const isDeleted = key.action === 'CASCADE';
  const what = isDeleted ? 'deletes' : `overwrites ${key.columns.map(quotedWhereNeeded).join(', ')} in`;
  return {
    kind: isDeleted ? 'deleted_rows' : 'updated_rows',
    object: qualified(key),
    rows: counted.rows,
    isEstimate: counted.isEstimate,
    sentence: `${what} ${amount(counted, 'row')} of ${names.shown(key)}, by ON DELETE ${key.action} of ${names.shown(table)}`,
  };
}

async function lossesOfTruncate(
  work: LossWork,
  { tables, isCascade }: Extract<Effect, { readonly type: 'truncate' }>,
): Promise<readonly FoundLoss[]> {
  const { db, names } = work;
  const losses: FoundLoss[] = [];
  const seen = new Set<string>();
  const empty = async (table: NamedRelation, cause: string | null): Promise<void> => {
    if (seen.has(table.oid) || names.isLost(table.oid)) return;
    seen.add(table.oid);
    losses.push(...(await lossOfEmptying(work, table, cause)));
    if (!isCascade) return;
    for (const key of await readDeletingKeys(db, table.oid)) await empty({ ...key, kind: 'r' }, names.shown(table));
  };
  for (const name of tables) {
    const table = await names.find(name);
    if (table !== null) await empty(table, null);
  }
  return losses;
}

async function lossOfEmptying(
  { counter, names }: LossWork,
  table: NamedRelation,
  cause: string | null,
): Promise<readonly FoundLoss[]> {
  const counted = await counter.rowsOf(table, false);
  if (counted.rows === 0 && !counted.isEstimate) return [];
  const sentence = `empties table ${names.shown(table)} with ${amount(counted, 'row')}${takenBy(cause)}`;
  return [
    { kind: 'truncated_rows', object: qualified(table), rows: counted.rows, isEstimate: counted.isEstimate, sentence },
  ];
}
