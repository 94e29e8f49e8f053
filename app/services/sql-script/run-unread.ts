import { escapeLiteral } from 'pg';
import type { Queryable } from '../../database/queryable.js';
import { isServerError, type ServerError } from '../database-errors.js';
import { offsetOfPosition } from './place.js';
import { serverRefusal } from './server-refusal.js';
import type { SqlSource } from './source.js';

/**
 * Executes a file that the parser could not read. It is larger than the parser can hold, or nested too deeply for it. Or
 * it is written for an older server: PostgreSQL 14 and 15 take `system_user` as the name of a column, 14 takes `1as` as a
 * number with a name, and up to 16 a function may be called `json_value`. Or libpg_query keeps comments that
 * PostgreSQL skips, as between the halves of a string that goes on in the next line.
 *
 * The server decides, and within EXECUTE: it too reads the whole text before it executes any of it, and there it refuses
 * COMMIT, which nobody could look for. It refuses savepoints and SELECT INTO as well.
 *
 * @throws ManageDbError as {@link runSqlFile}
 */
export async function executeUnread(db: Queryable, source: SqlSource): Promise<number> {
  const before = await insertedRows(db);
  try {
    await db.query(`do language plpgsql ${escapeLiteral(`begin execute ${escapeLiteral(source.sql)}; end`)}`);
  } catch (error) {
    if (!isServerError(error)) throw error;
    throw serverRefusal(error, source, { offset: placeIn(source, error), isWithinBlock: true });
  }
  return (await insertedRows(db)) - before;
}

/** EXECUTE tells the rows of its last statement only; this is what the transaction has inserted so far. */
async function insertedRows(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ inserted: string }>(
    'select coalesce(pg_catalog.sum(n_tup_ins), 0)::text as inserted from pg_catalog.pg_stat_xact_user_tables',
  );
  return Number(rows[0]?.inserted ?? 0);
}

function placeIn({ sql }: SqlSource, { internalPosition, internalQuery }: ServerError): number | null {
  // a function that fails in a statement of its own gives the place in that
  if (internalPosition === undefined || internalQuery !== sql) return null;
  return offsetOfPosition(sql, Number(internalPosition));
}
