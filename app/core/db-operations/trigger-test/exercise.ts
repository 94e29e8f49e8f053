import type { TestableTrigger } from '../../../database/catalog/testable-triggers.js';
import type { TriggerEvent } from '../../../database/catalog/triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import { codeOf } from '../../errors.js';
import { type Calls, callsOf, callsOfTruncate } from './calls.js';
import type { Value } from './choose-values.js';
import type { Models, RelationModel } from './model.js';
import type { Outcomes } from './outcomes.js';
import { type RowWriter, WISHES } from './row-writer.js';
import { kept, NoRow, NothingToCopy, SessionEnded, tried } from './savepoint.js';
import {
  deleteStatement,
  emptyInsert,
  firstRowOf,
  insertStatement,
  NO_ROW,
  type RowPlace,
  relationName,
  rowAt,
  type Statement,
  settableColumns,
  updateStatement,
} from './statements.js';
import { endOf, messageFor, stoppedBy, TIMED_OUT } from './stopped-by.js';
import { readRow } from './stored-rows.js';
import { whenRows } from './when-rows.js';

/** What is exercised: one kind of statement on one relation. */
export interface Exercise {
  readonly db: Queryable;
  readonly models: Models;
  readonly model: RelationModel;
  readonly event: TriggerEvent;
  readonly triggers: readonly TestableTrigger[];
  readonly writer: RowWriter;
  readonly outcomes: Outcomes;
  /** Relations into which nothing more is inserted, with the reason. */
  readonly closed: Map<number, string>;
  readonly timeoutMs: number;
}

type Making = () => Promise<Statement>;

/**
 * Executes statements, each undone at once, until every trigger has been called or there is nothing left to try.
 *
 * @throws SessionEnded when a function has ended the session; what is known of it is in `outcomes`
 */
export async function exercise(given: Exercise): Promise<void> {
  const { db, model, event, triggers, outcomes } = given;
  if (event === 'TRUNCATE') {
    await attempt(given, outcomes, async () => ({ calls: await callsOfTruncate(db, model, triggers), isEmpty: false }));
    return;
  }
  for await (const making of statementsFor(given, outcomes)) {
    const isOver = await attempt(given, outcomes, async () => ({
      calls: await callsOf(db, await making(), triggers),
      isEmpty: false,
    }));
    if (isOver || outcomes.pending().length === 0) return;
  }
  // a statement trigger needs no row
  if (outcomes.pending().some(({ level }) => level === 'statement')) {
    await attempt(given, outcomes, async () => ({
      calls: await callsOf(db, emptyStatement(given), triggers),
      isEmpty: true,
    }));
  }
}

/** Whether another statement of this kind would take too long as well. */
async function attempt(
  { db, triggers, event, model, closed, timeoutMs }: Exercise,
  outcomes: Outcomes,
  work: () => Promise<{ readonly calls: Calls; readonly isEmpty: boolean }>,
): Promise<boolean> {
  let since = 0;
  const close = (reason: string): void => {
    if (event === 'INSERT') closed.set(model.oid, `No row could be made for ${model.schema}.${model.name}: ${reason}`);
  };
  const outcome = await tried(db, async () => {
    since = performance.now();
    const { calls, isEmpty } = await work();
    outcomes.executed(calls, false);
    // what would fail when the transaction is committed
    await db.query('set constraints all immediate');
    return { calls, isEmpty };
  }).catch((error: unknown) => {
    if (!(error instanceof SessionEnded) || error.isWhileMaking) throw error;
    const stop = stoppedBy(error.error, triggers);
    if (stop === null) outcomes.unusable(endOf(error));
    else outcomes.stopped({ ...stop, kind: 'broken', message: endOf(error) });
    close(endOf(error));
    throw error;
  });
  if (outcome.ok) {
    outcomes.executed(outcome.value.calls, !outcome.value.isEmpty);
    return false;
  }
  const stop = stoppedBy(outcome.error, triggers);
  if (stop !== null && codeOf(outcome.error) === TIMED_OUT && performance.now() - since >= timeoutMs) {
    const message = `It took longer than ${timeoutMs / 1000} s.`;
    outcomes.stopped({ ...stop, message });
    close(message);
    return true;
  }
  if (stop !== null) outcomes.stopped(stop);
  else if (!(outcome.error instanceof NothingToCopy)) outcomes.unusable(reasonOf(outcome.error));
  return false;
}

function reasonOf(error: Parameters<typeof messageFor>[0]): string {
  return error instanceof NoRow ? error.message : `The statement failed: ${messageFor(error)}`;
}

/** Ever more particular ones; what comes later is meant for triggers that the earlier ones have not reached. */
async function* statementsFor(given: Exercise, outcomes: Outcomes): AsyncGenerator<Making> {
  yield* ordinaryStatements(given, outcomes);
  for (const trigger of outcomes.pending()) {
    const rows = await whenRows(given.db, given.models, { ...given, trigger });
    if (rows !== null) yield* statementsWith(given, rows, trigger);
  }
  if (given.event === 'UPDATE') {
    for (const { updateOf } of outcomes.pending()) {
      if (updateOf.length > 0) yield () => updateOnly(given, updateOf);
    }
  }
}

async function* ordinaryStatements(given: Exercise, outcomes: Outcomes): AsyncGenerator<Making> {
  const { model, event, writer } = given;
  switch (event) {
    case 'INSERT':
      for (const wish of WISHES) {
        // another row is of no use to conditions that are read, and those are for later
        if (outcomes.pending().every((trigger) => outcomes.of(trigger).state === 'did_not_fire')) return;
        yield async () => insertStatement(model, await writer.plan(model, wish));
      }
      return;
    case 'UPDATE':
      yield () => updateEverything(given);
      yield () => updateOnly(given, settableColumns(model));
      return;
    default:
      yield async () => deleteStatement(model, await placeOfRow(given, new Map()));
  }
}

async function* statementsWith(
  given: Exercise,
  rows: { readonly old: ReadonlyMap<string, Value>; readonly new: ReadonlyMap<string, Value> },
  { updateOf }: TestableTrigger,
): AsyncGenerator<Making> {
  const { model, event, writer } = given;
  switch (event) {
    case 'INSERT':
      for (const wish of WISHES) {
        yield async () => insertStatement(model, await writer.plan(model, { ...wish, fixed: rows.new }));
      }
      return;
    case 'UPDATE':
      yield async () => {
        const place = await placeOfRow(given, rows.old);
        const touched = updateOf
          .filter((column) => !rows.new.has(column))
          .map((column) => [column, undefined] as const);
        const set = new Map([...touched, ...rows.new]);
        return set.size > 0 ? updateStatement(model, set, place) : updateOnly(given, settableColumns(model));
      };
      return;
    default:
      yield async () => deleteStatement(model, await placeOfRow(given, rows.old));
  }
}

/** Sets every column that is no key to another value. */
async function updateEverything(given: Exercise): Promise<Statement> {
  const { db, model, writer } = given;
  const place = await placeOfRow(given, new Map());
  const current = await readRow(db, model, place);
  if (current === null) throw new NoRow('The row that was inserted is not there any more.');
  const keys = new Set([...model.uniqueColumns, ...model.foreignKeys.flatMap(({ columns }) => columns)]);
  const settable = settableColumns(model);
  const fixed = new Map(
    [...current].filter(([name]) => keys.has(name) || !settable.includes(name) || model.columns.get(name)?.identity),
  );
  const changed = await writer.plan(model, { shape: 'changed', fixed, avoided: current, isAnywhere: true });
  const set = new Map([...changed].filter(([name]) => !fixed.has(name)));
  return set.size > 0 ? updateStatement(model, set, place) : updateOnly(given, settable);
}

/** Sets columns to what they are: triggers on them fire all the same. */
async function updateOnly(given: Exercise, columns: readonly string[]): Promise<Statement> {
  if (columns.length === 0) throw new NoRow('No column of it can be set.');
  const place = await placeOfRow(given, new Map());
  return updateStatement(given.model, new Map(columns.map((column) => [column, undefined])), place);
}

/** A row to change or delete: a new one, or, where none can be made, one that is there. */
async function placeOfRow({ db, model, writer }: Exercise, fixed: ReadonlyMap<string, Value>): Promise<RowPlace> {
  if (model.kind === 'v') {
    const made = await kept(db, () => writer.insert(model, { fixed, returning: '1' }));
    const { rowCount } = await db.query(`select from ${relationName(model)} limit 1`);
    if (rowCount !== 0) return firstRowOf(model);
    throw new NoRow(made.ok ? 'What is inserted into it is not seen in it.' : made.error.message);
  }
  const made = await kept(db, () =>
    writer.insert<Address>(model, { fixed, returning: 'tableoid::text as "table", ctid::text as "row"' }),
  );
  if (made.ok) return rowAt(made.value);
  const { rows } = await db.query<Address>(
    `select tableoid::text as "table", ctid::text as "row" from ${relationName(model)} limit 1`,
  );
  const [existing] = rows;
  if (existing === undefined) throw new NoRow(messageFor(made.error));
  return rowAt(existing);
}

interface Address {
  readonly table: string;
  readonly row: string;
}

function emptyStatement({ model, event }: Exercise): Statement {
  if (event === 'INSERT') return emptyInsert(model);
  if (event === 'DELETE') return deleteStatement(model, NO_ROW);
  return updateStatement(model, new Map(settableColumns(model).map((column) => [column, undefined])), NO_ROW);
}
