import { escapeIdentifier } from 'pg';
import type { Queryable } from '../../database/queryable.js';
import { codeOf } from '../errors.js';
import { tableName, triggerOn } from './create-trigger.js';
import type { UndecidedTrigger } from './planned-trigger.js';

const PROBE = 'manage_db_condition';

/** insufficient_privilege, read-only; and the ways in which a condition does not fit a copy (class 42: types, functions). */
const CANNOT_COPY = /^(42...|25006)$/;

/**
 * The WHEN conditions of `triggers` as this server prints them, in the same order: the only honest way to compare a
 * declared condition with an installed one. Needs an open transaction with an empty search_path.
 *
 * The server is shown each condition on an empty temporary copy of its table, which locks nothing and is rolled back.
 * Where that cannot be (the login may not create temporary tables, or a condition passes the row to a function that
 * takes rows of this very table), each is shown on its own table, for a moment and under its lock.
 */
export async function readConditions(db: Queryable, triggers: readonly UndecidedTrigger[]): Promise<readonly string[]> {
  if (triggers.length === 0) return [];
  const printed = await inSavepoint(db, () => printOnCopies(db, triggers)).catch((error: unknown) => {
    // a cancelled statement or a lost connection is no reason to lock tables
    if (CANNOT_COPY.test(codeOf(error) ?? '')) return null;
    throw error;
  });
  if (printed !== null) return printed;
  const conditions: string[] = [];
  for (const trigger of triggers) conditions.push(await inSavepoint(db, () => printOnTable(db, trigger)));
  return conditions;
}

/** Always rolled back. */
async function inSavepoint<T>(db: Queryable, fn: () => Promise<T>): Promise<T> {
  await db.query('savepoint manage_db_conditions');
  try {
    return await fn();
  } finally {
    await db.query('rollback to savepoint manage_db_conditions');
  }
}

async function printOnCopies(db: Queryable, triggers: readonly UndecidedTrigger[]): Promise<string[]> {
  const copies = triggers.map((trigger, index) => {
    const copy = `pg_temp.${PROBE}_${index}`;
    return `
      create temporary table ${PROBE}_${index} (like ${tableName(trigger)});
      create trigger ${PROBE} ${triggerOn(copy, trigger)};`;
  });
  await db.query(copies.join('\n'));
  return readProbes(
    db,
    'c.relnamespace = pg_catalog.pg_my_temp_schema()',
    `pg_catalog.substr(c.relname, ${PROBE.length + 2})::integer`,
  );
}

async function printOnTable(db: Queryable, trigger: UndecidedTrigger): Promise<string> {
  await db.query(`create trigger ${escapeIdentifier(PROBE)} ${triggerOn(tableName(trigger), trigger)}`);
  const [condition = ''] = await readProbes(db, `c.oid = ${trigger.target.oid}`, 'c.oid');
  return condition;
}

async function readProbes(db: Queryable, condition: string, order: string): Promise<string[]> {
  const { rows } = await db.query<{ condition: string }>(`
    select pg_catalog.substring(pg_catalog.pg_get_triggerdef(t.oid), ' WHEN (\\(.*\\)) EXECUTE FUNCTION ') as condition
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_class c on c.oid = t.tgrelid
    where t.tgname = '${PROBE}' and ${condition}
    order by ${order}`);
  return rows.map((row) => row.condition);
}
