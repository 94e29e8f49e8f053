import type { TestableTrigger } from '../../../database/catalog/testable-triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import type { RelationModel } from './model.js';
import { relationName, type Statement } from './statements.js';

/** The triggers that a statement has called, each with the milliseconds that it took, where these are known. */
export type Calls = ReadonlyMap<TestableTrigger, number | null>;

interface ReportedTrigger {
  readonly 'Trigger Name': string;
  readonly Relation: string;
  readonly Calls: number;
  readonly Time?: number;
}

type Explained = readonly { readonly 'QUERY PLAN': readonly { readonly Triggers?: readonly ReportedTrigger[] }[] }[];

/** Executes a statement under EXPLAIN, which lists each trigger that was called: nothing has to be guessed from effects. */
export async function callsOf(
  db: Queryable,
  { text, values }: Statement,
  triggers: readonly TestableTrigger[],
): Promise<Calls> {
  const { rows } = await db.query<Explained[number]>(`explain (analyze, costs off, format json) ${text}`, [...values]);
  const calls = new Map<TestableTrigger, number>();
  for (const reported of rows.flatMap((row) => row['QUERY PLAN'].flatMap((plan) => plan.Triggers ?? []))) {
    const called = triggers.find(({ places }) =>
      places.some(({ relation, trigger }) => relation === reported.Relation && trigger === reported['Trigger Name']),
    );
    if (called !== undefined) calls.set(called, (calls.get(called) ?? 0) + (reported.Time ?? 0));
  }
  return calls;
}

/** What there is no other way to empty. */
const REFERENCED = '0A000';

/**
 * Truncates a table; with those that refer to it, where there are any. EXPLAIN knows no TRUNCATE, so the calls of the
 * functions are counted: PostgreSQL does that for a login that may set `track_functions`.
 */
export async function callsOfTruncate(
  db: Queryable,
  model: RelationModel,
  triggers: readonly TestableTrigger[],
): Promise<Calls> {
  const before = await countedCalls(db, triggers);
  await db.query('savepoint truncating');
  const started = performance.now();
  try {
    await db.query(`truncate ${relationName(model)}`);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === REFERENCED)) throw error;
    await db.query('rollback to savepoint truncating');
    await db.query(`truncate ${relationName(model)} cascade`);
  }
  const took = performance.now() - started;
  const after = await countedCalls(db, triggers);
  // without counts: what stands on a table as a statement trigger without condition is called, or the statement fails
  const isCounted = await isCounting(db);
  return new Map(
    triggers
      .filter(({ functionOid, when }) =>
        isCounted ? (after.get(functionOid) ?? 0) > (before.get(functionOid) ?? 0) : when === null,
      )
      .map((trigger) => [trigger, triggers.length === 1 ? took : null]),
  );
}

async function isCounting(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ value: string }>(`select pg_catalog.current_setting('track_functions') as value`);
  return rows[0]?.value === 'all';
}

async function countedCalls(db: Queryable, triggers: readonly TestableTrigger[]): Promise<ReadonlyMap<number, number>> {
  const { rows } = await db.query<{ oid: number; calls: number }>(
    `select funcid as oid, calls::int from pg_catalog.pg_stat_xact_user_functions where funcid = any ($1::pg_catalog.oid[])`,
    [triggers.map(({ functionOid }) => functionOid)],
  );
  return new Map(rows.map(({ oid, calls }) => [oid, calls]));
}
