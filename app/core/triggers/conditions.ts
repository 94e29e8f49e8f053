import { escapeIdentifier } from 'pg';
import { conditionSql } from '../../database/catalog/trigger-sql.js';
import { inUndoneSavepoint } from '../../database/in-savepoint.js';
import type { Queryable } from '../../database/queryable.js';
import { codeOf } from '../errors.js';
import { kindOf, tableName, triggerOn } from './create-trigger.js';
import { withLockErrors } from './locks.js';
import type { UndecidedTrigger } from './planned-trigger.js';

const PROBE = 'manage_db_condition';

/**
 * What says that a condition cannot be shown on a copy: insufficient_privilege (for temporary tables, or to read the
 * definition), and the ways in which the copy's row is no row of the table: undefined_function, cannot_coerce,
 * datatype_mismatch, and undefined_column for `new.function_of_the_row`. A cancelled statement or a lost connection is
 * no reason to lock tables.
 */
const CANNOT_COPY = new Set(['42501', '42883', '42846', '42804', '42703']);

/**
 * The WHEN conditions of `triggers` as this server prints them, in the same order: the only honest way to compare a
 * declared condition with an installed one. Needs an open transaction with an empty search_path.
 *
 * The server is shown each condition on an empty temporary copy of its table, which locks nothing and is rolled back.
 * Where that cannot be (the login may not create temporary tables, or a condition passes the row to a function that
 * takes rows of this very table), it is shown on its own table, for a moment and under its lock.
 *
 * @throws TriggerLockError when such a table stays locked
 */
export async function readConditions(db: Queryable, triggers: readonly UndecidedTrigger[]): Promise<readonly string[]> {
  if (triggers.length === 0) return [];
  const printed = await tryOnCopies(db, triggers);
  if (printed !== null) return printed;
  const conditions = new Map<UndecidedTrigger, string>();
  // in oid order, as everything here that locks
  for (const trigger of [...triggers].sort((a, b) => a.target.oid - b.target.oid)) {
    const [alone] = (await tryOnCopies(db, [trigger])) ?? [];
    conditions.set(trigger, alone ?? (await onTable(db, trigger)));
  }
  return triggers.map((trigger) => conditions.get(trigger) ?? '');
}

/** `null` when one of the conditions cannot be shown on a copy. */
async function tryOnCopies(db: Queryable, triggers: readonly UndecidedTrigger[]): Promise<string[] | null> {
  try {
    return await inUndoneSavepoint(db, () => printOnCopies(db, triggers));
  } catch (error) {
    if (CANNOT_COPY.has(codeOf(error) ?? '')) return null;
    throw error;
  }
}

function onTable(db: Queryable, trigger: UndecidedTrigger): Promise<string> {
  return inUndoneSavepoint(db, () =>
    withLockErrors({ tables: [trigger.target], waitsFor: 'writers' }, () => printOnTable(db, trigger)),
  );
}

async function printOnCopies(db: Queryable, triggers: readonly UndecidedTrigger[]): Promise<string[]> {
  const copies = triggers.map((trigger, index) => {
    const copy = `pg_temp.${PROBE}_${index}`;
    return `
      create temporary table ${PROBE}_${index} (like ${tableName(trigger)});
      create ${kindOf(trigger)} ${PROBE} ${triggerOn(copy, trigger)};`;
  });
  await db.query(copies.join('\n'));
  return readProbes(
    db,
    'c.relnamespace = pg_catalog.pg_my_temp_schema()',
    `pg_catalog.substr(c.relname, ${PROBE.length + 2})::integer`,
  );
}

async function printOnTable(db: Queryable, trigger: UndecidedTrigger): Promise<string> {
  await db.query(`create ${kindOf(trigger)} ${escapeIdentifier(PROBE)} ${triggerOn(tableName(trigger), trigger)}`);
  const [condition = ''] = await readProbes(db, `c.oid = ${trigger.target.oid}`, 'c.oid');
  return condition;
}

async function readProbes(db: Queryable, condition: string, order: string): Promise<string[]> {
  const { rows } = await db.query<{ condition: string }>(`
    select ${conditionSql('t', 'pg_catalog.pg_get_triggerdef(t.oid)')} as condition
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_class c on c.oid = t.tgrelid
    where t.tgname = '${PROBE}' and ${condition}
    order by ${order}`);
  return rows.map((row) => row.condition);
}
