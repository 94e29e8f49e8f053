import { escapeIdentifier } from 'pg';
import { readTestableTriggers, type TestableTrigger } from '../../../database/catalog/testable-triggers.js';
import type { TriggerEvent } from '../../../database/catalog/triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import { currentActor } from '../../../services/actor.js';
import { PIN_TRANSACTION } from '../../../services/catalog-path.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { explained, stopIfAborted } from '../failure.js';
import { findRelation } from '../inspection/find-relation.js';
import { requireSchema } from '../inspection/require-schema.js';
import { type Exercise, exercise } from './exercise.js';
import { type CheckedFunctions, checkFunctions, type FunctionCheck } from './function-check.js';
import { type Models, readModels } from './model.js';
import type { Outcomes, TestedEvent, TestState } from './outcomes.js';
import { RowWriter } from './row-writer.js';
import { kept, LockedOut } from './savepoint.js';

export interface TriggerSelection {
  readonly schema?: string | undefined;
  /** `'clinic.users'`, or `'users'` where only one schema has it. */
  readonly table?: string | undefined;
  readonly name?: string | undefined;
}

export interface TestedTrigger {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly events: readonly TestedEvent[];
  /** What plpgsql_check finds wrong with its function. */
  readonly functionErrors: readonly string[];
}

export interface TestTriggersResult {
  readonly triggers: readonly TestedTrigger[];
  /** Of events. */
  readonly counts: Readonly<Record<TestState, number>>;
  readonly functionCheck: FunctionCheck;
}

/** Longer than deadlock_timeout (1 s), or an autovacuum in the way would never be told to yield. */
const LOCK_TIMEOUT_MS = 5000;
const STATEMENT_TIMEOUT_MS = 10_000;
/** So that nothing stays locked when we are halted. */
const IDLE_TIMEOUT_MS = 60_000;

/** Truncating comes last: it locks the table against everybody until the transaction ends. */
const EVENTS: readonly TriggerEvent[] = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'];

/** The work of `test-db-triggers`, without the gate. */
export async function exerciseTriggers(
  target: Target,
  { signal, onProgress, ...selection }: TriggerSelection & OperationControls,
): Promise<TestTriggersResult> {
  try {
    // the functions of triggers find what they name as they do in the application
    return await withConnection(target.settings, { signal, searchPath: 'application' }, async (db) => {
      const { triggers, models } = await rolledBack(db, async () => {
        await db.query(PIN_TRANSACTION);
        const selected = await selectTriggers(db, selection);
        const oids = [...new Set(selected.map(({ relationOid }) => relationOid))];
        return { triggers: selected, models: await readModels(db, oids) };
      });
      const checked = await rolledBack(db, () => checkFunctions(db, triggers));
      const tables = byTable(triggers);
      const tested: TestedTrigger[] = [];
      for (const [index, own] of tables.entries()) {
        stopIfAborted(signal);
        const step = `testing ${own[0]?.schema}.${own[0]?.table}`;
        onProgress?.({ step, done: index, total: tables.length, isDetail: true });
        tested.push(...(await testTable(db, models, own)).map((each, place) => withErrors(each, checked, own[place])));
      }
      return { triggers: tested, counts: countsOf(tested), functionCheck: checked.check };
    });
  } catch (error) {
    if (error instanceof ManageDbError && signal?.aborted !== true) throw error;
    throw explained(error, `Everything was rolled back: no row of ${target.database} was changed.`, signal);
  }
}

async function selectTriggers(
  db: Queryable,
  { schema, table, name }: TriggerSelection,
): Promise<readonly TestableTrigger[]> {
  if (schema !== undefined) await requireSchema(db, schema);
  const relation = table === undefined ? undefined : await findRelation(db, table, schema);
  const all = await readTestableTriggers(db, {
    ...(relation === undefined
      ? schema === undefined
        ? {}
        : { schema }
      : { schema: relation.schema, relation: relation.name }),
  });
  const selected = name === undefined ? all : all.filter((trigger) => trigger.name === name);
  if (name === undefined || selected.length > 0) return selected;
  const suggestion = nearest(name, [...new Set(all.map((trigger) => trigger.name))]);
  throw new ManageDbError('NOT_FOUND', `There is no trigger ${name}${table === undefined ? '' : ` on ${table}`}.`, {
    hint: suggestion ? `Did you mean ${suggestion}?` : 'manage_db inspect-db --triggers lists what there is.',
    details: { name, table: table ?? null, suggestion },
  });
}

function byTable(triggers: readonly TestableTrigger[]): readonly (readonly TestableTrigger[])[] {
  const tables = new Map<number, TestableTrigger[]>();
  for (const trigger of triggers) {
    const known = tables.get(trigger.relationOid);
    if (known === undefined) tables.set(trigger.relationOid, [trigger]);
    else known.push(trigger);
  }
  return [...tables.values()];
}

/** All triggers of one table. */
async function testTable(
  db: Queryable,
  models: Models,
  triggers: readonly TestableTrigger[],
): Promise<readonly Omit<TestedTrigger, 'functionErrors'>[]> {
  const model = models.relations.get(triggers[0]?.relationOid ?? 0);
  const outcomes = new Map<TriggerEvent, Outcomes>();
  let obstacle: string | null = model?.kind === 'f' ? FOREIGN : null;
  if (model !== undefined && obstacle === null) {
    obstacle = await exerciseAll({ db, models, model, triggers }, outcomes);
  }
  return triggers.map((trigger) => ({
    schema: trigger.schema,
    table: trigger.table,
    name: trigger.name,
    events: trigger.events.map((event): TestedEvent => {
      const result = outcomes.get(event)?.of(trigger);
      if (result !== undefined) return { event, ...result };
      return { event, state: 'not_tested', detail: whyUntested(trigger) ?? obstacle, milliseconds: null };
    }),
  }));
}

/** In one transaction that is rolled back. Gives back why it ended early, or `null`. */
async function exerciseAll(
  { db, models, model, triggers }: Omit<Exercise, 'event' | 'writer'>,
  outcomes: Map<TriggerEvent, Outcomes>,
): Promise<string | null> {
  try {
    await rolledBack(db, async () => {
      await db.query('set constraints all deferred');
      // these are to fire within their statement, where they are seen
      for (const { schema, name } of triggers.filter(({ isDeferrable }) => isDeferrable)) {
        await db.query(`set constraints ${escapeIdentifier(schema)}.${escapeIdentifier(name)} immediate`);
      }
      const writer = new RowWriter(db, models);
      for (const event of EVENTS) {
        const exercised = triggers.filter((each) => each.events.includes(event) && whyUntested(each) === null);
        if (exercised.length === 0) continue;
        outcomes.set(event, await exercise({ db, models, model, event, triggers: exercised, writer }));
      }
    });
    return null;
  } catch (error) {
    if (error instanceof LockedOut) {
      return `Another session has locked what is needed for longer than ${LOCK_TIMEOUT_MS / 1000} s: ${error.message}.`;
    }
    throw error;
  }
}

const FOREIGN = 'It is on a foreign table: whether its server rolls back what is written there is not known.';

function whyUntested({ mode }: TestableTrigger): string | null {
  if (mode === 'D') return 'It is disabled.';
  return mode === 'R' ? 'It fires only where changes are replicated.' : null;
}

async function rolledBack<T>(db: Queryable, work: () => Promise<T>): Promise<T> {
  await db.query('begin');
  try {
    await db.query(LIMITS, [
      `${LOCK_TIMEOUT_MS}ms`,
      `${STATEMENT_TIMEOUT_MS}ms`,
      `${IDLE_TIMEOUT_MS}ms`,
      currentActor() ?? '',
    ]);
    // only a superuser may, or a login that was granted it
    await kept(db, () => db.query(`set local track_functions = 'all'`));
    return await work();
  } finally {
    // a connection that is lost has rolled back by itself
    await db.query('rollback').catch(() => undefined);
  }
}

const LIMITS = `
  select pg_catalog.set_config('lock_timeout', $1, true), pg_catalog.set_config('statement_timeout', $2, true),
    pg_catalog.set_config('idle_in_transaction_session_timeout', $3, true), pg_catalog.set_config('app.current_user', $4, true)`;

function withErrors(
  tested: Omit<TestedTrigger, 'functionErrors'>,
  { errors }: CheckedFunctions,
  trigger: TestableTrigger | undefined,
): TestedTrigger {
  return { ...tested, functionErrors: (trigger === undefined ? undefined : errors.get(trigger)) ?? [] };
}

function countsOf(triggers: readonly TestedTrigger[]): TestTriggersResult['counts'] {
  const counts = { fired: 0, did_not_fire: 0, failed: 0, not_tested: 0 };
  for (const { events } of triggers) for (const { state } of events) counts[state] += 1;
  return counts;
}
