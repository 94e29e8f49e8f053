import type { TestableTrigger } from '../../../database/catalog/testable-triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import { codeOf } from '../../errors.js';
import type { RelationModel } from './model.js';
import { kept } from './savepoint.js';
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

/** feature_not_supported: another table refers to it. */
const REFERENCED = '0A000';

/**
 * Truncates a table; with those that refer to it, where there are any. EXPLAIN knows no TRUNCATE. What PostgreSQL promises
 * is that a statement trigger is called when its condition, in which no column can stand, is true; where the login may
 * have calls of functions counted, the promise is checked.
 */
export async function callsOfTruncate(
  db: Queryable,
  model: RelationModel,
  triggers: readonly TestableTrigger[],
): Promise<Calls> {
  const conditions = triggers.map(({ when }) => `${when ?? 'true'} is true`);
  const { rows } = await db.query<{ met: readonly boolean[]; counting: string }>(
    `select array[${conditions.join(', ')}] as met, pg_catalog.current_setting('track_functions') as counting`,
  );
  const before = await countedCalls(db, triggers);
  const emptied = await kept(db, () => db.query(`truncate ${relationName(model)}`));
  if (!emptied.ok) {
    if (codeOf(emptied.error) !== REFERENCED) throw emptied.error;
    await db.query(`truncate ${relationName(model)} cascade`);
  }
  const after = await countedCalls(db, triggers);
  const isCounted = rows[0]?.counting === 'all';
  const called = triggers.filter(({ functionOid }, index) => {
    const isSeen = (after.get(functionOid) ?? 0) > (before.get(functionOid) ?? 0);
    return rows[0]?.met[index] === true && (isSeen || !isCounted);
  });
  return new Map(called.map((trigger) => [trigger, null]));
}

async function countedCalls(db: Queryable, triggers: readonly TestableTrigger[]): Promise<ReadonlyMap<number, number>> {
  const { rows } = await db.query<{ oid: number; calls: number }>(
    `select funcid as oid, calls::int from pg_catalog.pg_stat_xact_user_functions where funcid = any ($1::pg_catalog.oid[])`,
    [triggers.map(({ functionOid }) => functionOid)],
  );
  return new Map(rows.map(({ oid, calls }) => [oid, calls]));
}
