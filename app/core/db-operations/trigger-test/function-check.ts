import { escapeIdentifier } from 'pg';
import type { TestableTrigger } from '../../../database/catalog/testable-triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import { kept, LockedOut, NoRow, type Outcome } from './savepoint.js';
import { messageFor } from './stopped-by.js';

/** Whether plpgsql_check has read the functions, and why not. */
export interface FunctionCheck {
  readonly state: 'done' | 'skipped';
  readonly detail: string | null;
}

/** What plpgsql_check found in the functions of triggers: `line 3: column "x" does not exist`. */
export interface CheckedFunctions {
  readonly check: FunctionCheck;
  readonly errors: ReadonlyMap<TestableTrigger, readonly string[]>;
}

/** Has plpgsql_check read the functions of the triggers, where a database has that extension. */
export async function checkFunctions(db: Queryable, triggers: readonly TestableTrigger[]): Promise<CheckedFunctions> {
  const { rows } = await db.query<{ schema: string }>(EXTENSION);
  const schema = rows[0]?.schema;
  if (schema === undefined) {
    const detail = 'The extension plpgsql_check is not installed in this database.';
    return { check: { state: 'skipped', detail }, errors: new Map() };
  }
  const readable = triggers.filter(({ language }) => language === 'plpgsql');
  const errors = new Map<TestableTrigger, readonly string[]>();
  const outcome = await unlessLocked(db, async () => {
    const found = await db.query<{ place: number; line: number | null; message: string }>(checkStatement(schema), [
      readable.map(({ functionOid }) => functionOid),
      readable.map(({ relationOid }) => relationOid),
      readable.map(({ transitionTables }) => transitionTables.old),
      readable.map(({ transitionTables }) => transitionTables.new),
    ]);
    readable.forEach((trigger, index) => {
      const own = found.rows.filter(({ place }) => place === index + 1);
      if (own.length > 0) {
        const lines = own.map(({ line, message }) => (line === null ? message : `line ${line}: ${message}`));
        errors.set(trigger, lines);
      }
    });
  });
  if (!outcome.ok) return { check: { state: 'skipped', detail: messageFor(outcome.error) }, errors: new Map() };
  return { check: { state: 'done', detail: null }, errors };
}

/** It looks into the tables, too, and one that is locked is no reason to test nothing. */
async function unlessLocked(db: Queryable, work: () => Promise<void>): Promise<Outcome<void>> {
  try {
    return await kept(db, work);
  } catch (error) {
    if (error instanceof LockedOut) return { ok: false, error: new NoRow(`A table is locked: ${error.message}.`) };
    throw error;
  }
}

const EXTENSION = `
  select n.nspname::text as schema
  from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
  where e.extname = 'plpgsql_check'`;

function checkStatement(schema: string): string {
  return `
    select given.place::int as place, found.lineno as line, found.message
    from rows from (
      pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.oid[]),
      pg_catalog.unnest($3::name[]), pg_catalog.unnest($4::name[])
    ) with ordinality given (function, relation, old_table, new_table, place)
    cross join lateral ${escapeIdentifier(schema)}.plpgsql_check_function_tb(
      funcoid => given.function::pg_catalog.regprocedure, relid => given.relation::pg_catalog.regclass,
      oldtable => given.old_table, newtable => given.new_table, fatal_errors => false
    ) found
    where found.level = 'error'
    order by given.place, found.lineno`;
}
