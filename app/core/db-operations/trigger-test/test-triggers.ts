import { escapeIdentifier } from 'pg';
import { readTestableTriggers, type TestableTrigger } from '../../../database/catalog/testable-triggers.js';
import type { TriggerEvent } from '../../../database/catalog/triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import { currentActor } from '../../../services/actor.js';
import { PIN_TRANSACTION } from '../../../services/catalog-path.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import { nextCommand } from '../../next-command.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { explained } from '../failure.js';
import { findRelation } from '../inspection/find-relation.js';
import { requireSchema } from '../inspection/require-schema.js';
import { type Exercise, exercise } from './exercise.js';
import { type CheckedFunctions, checkFunctions, type FunctionCheck } from './function-check.js';
import { type RelationModel, readModels } from './model.js';
import { Outcomes, type TestedEvent, type TestState } from './outcomes.js';
import { RowWriter } from './row-writer.js';
import { kept, LockedOut, SessionEnded } from './savepoint.js';

export interface TriggerSelection {
  readonly schema?: string | undefined;
  /** `'clinic.users'`, or `'users'` where only one schema has it. */
  readonly table?: string | undefined;
  readonly name?: string | undefined;
  /** After how many milliseconds a statement, and so the trigger in which it is, is given up; 10,000 by default. */
  readonly timeoutMs?: number | undefined;
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
const LONGEST_TIMEOUT_MS = 2_147_483_647;
/** So that nothing stays locked when we are halted. */
const IDLE_TIMEOUT_MS = 60_000;

/** Truncating comes last: it locks the table against everybody until the transaction ends. */
const EVENTS: readonly TriggerEvent[] = ['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'];

/** The work of `test-db-triggers`, without the gate. */
export async function exerciseTriggers(
  target: Target,
  { signal, onProgress, timeoutMs = STATEMENT_TIMEOUT_MS, ...selection }: TriggerSelection & OperationControls,
): Promise<TestTriggersResult> {
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > LONGEST_TIMEOUT_MS) {
    throw new ManageDbError('USAGE', `The timeout must be 1 to ${LONGEST_TIMEOUT_MS} ms, not ${timeoutMs}.`);
  }
  // the functions of triggers find what they name as they do in the application
  const inSession = <T>(work: (db: Queryable) => Promise<T>): Promise<T> =>
    withConnection(target.settings, { signal, searchPath: 'application' }, work);
  try {
    const { triggers, models, checked } = await inSession(async (db) => {
      const found = await rolledBack(db, timeoutMs, async () => {
        await db.query(PIN_TRANSACTION);
        const selected = await selectTriggers(db, selection);
        const oids = [...new Set(selected.map(({ relationOid }) => relationOid))];
        return { triggers: selected, models: await readModels(db, oids) };
      });
      return { ...found, checked: await rolledBack(db, timeoutMs, () => checkFunctions(db, found.triggers)) };
    });
    const closed = new Map<number, string>();
    const open = byTable(triggers).map(
      (own): TableTest => ({ own, models, closed, timeoutMs, outcomes: new Map(), tested: new Set() }),
    );
    const total = open.length;
    const tested: TestedTrigger[] = [];
    while (open.length > 0) {
      await unlessEnded(
        inSession(async (db) => {
          for (let [table] = open; table !== undefined; [table] = open) {
            stopIfAborted(signal);
            const step = `testing ${table.own[0]?.schema}.${table.own[0]?.table}`;
            onProgress?.({ step, done: total - open.length, total, isDetail: true });
            const results = await testTable(db, table);
            tested.push(...results.map((each, place) => withErrors(each, checked, table?.own[place])));
            open.shift();
          }
        }),
      );
    }
    return { triggers: tested, counts: countsOf(tested), functionCheck: checked.check };
  } catch (error) {
    if (error instanceof ManageDbError && signal?.aborted !== true) throw error;
    throw explained(error, `Everything was rolled back: no row of ${target.database} was changed.`, signal);
  }
}

/** The triggers of one table, and what is known of them: it may take several sessions. */
interface TableTest extends Pick<Exercise, 'models' | 'closed' | 'timeoutMs'> {
  readonly own: readonly TestableTrigger[];
  readonly outcomes: Map<TriggerEvent, Outcomes>;
  /** Not to be tried again, though the session was lost. */
  readonly tested: Set<TriggerEvent>;
}

/** What ended the session is known by then; the next one goes on behind it. */
async function unlessEnded(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof SessionEnded)) throw error;
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
    hint: suggestion ? `Did you mean ${suggestion}?` : `${nextCommand('inspect-db --triggers')} lists what there is.`,
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
async function testTable(db: Queryable, table: TableTest): Promise<readonly Omit<TestedTrigger, 'functionErrors'>[]> {
  const { own: triggers, models, outcomes } = table;
  const model = models.relations.get(triggers[0]?.relationOid ?? 0);
  let obstacle: string | null = model?.kind === 'f' ? FOREIGN : null;
  if (model !== undefined && obstacle === null) {
    obstacle = await exerciseAll(db, model, table);
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
  db: Queryable,
  model: RelationModel,
  { own: triggers, models, closed, timeoutMs, outcomes: all, tested }: TableTest,
): Promise<string | null> {
  try {
    await rolledBack(db, timeoutMs, async () => {
      await db.query('set constraints all deferred');
      // these are to fire within their statement, where they are seen
      for (const { schema, name } of triggers.filter(({ isDeferrable }) => isDeferrable)) {
        await db.query(`set constraints ${escapeIdentifier(schema)}.${escapeIdentifier(name)} immediate`);
      }
      const writer = new RowWriter(db, models, closed);
      for (const event of EVENTS) {
        const exercised = triggers.filter((each) => each.events.includes(event) && whyUntested(each) === null);
        if (exercised.length === 0 || tested.has(event)) continue;
        const outcomes = all.get(event) ?? new Outcomes(exercised, model.kind !== 'v');
        all.set(event, outcomes);
        try {
          await exercise({ db, models, model, event, triggers: exercised, writer, outcomes, closed, timeoutMs });
        } catch (error) {
          if (error instanceof LockedOut) all.delete(event);
          // a row that was only needed is done without next time
          if (!(error instanceof SessionEnded && error.isWhileMaking)) tested.add(event);
          throw error;
        }
        tested.add(event);
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

async function rolledBack<T>(db: Queryable, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  await db.query('begin');
  try {
    await db.query(LIMITS, [`${LOCK_TIMEOUT_MS}ms`, `${timeoutMs}ms`, `${IDLE_TIMEOUT_MS}ms`, currentActor() ?? '']);
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
