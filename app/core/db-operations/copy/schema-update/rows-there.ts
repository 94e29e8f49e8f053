import { hasRows, readTableSize, type TableName } from '../../../../database/catalog/rows-at-stake.js';
import { inSavepoint } from '../../../../database/in-savepoint.js';
import type { Queryable } from '../../../../database/queryable.js';
import { isServerError } from '../../../../services/database-errors.js';

/** Whether there may be rows; with `column`, with a value in it. What policies hide from the login may be there. */
export async function mayHaveRows(db: Queryable, table: TableName, column?: string): Promise<boolean> {
  try {
    return await inSavepoint(db, () => hasRows(db, table, column));
  } catch (error) {
    // nor can a materialized view be read that was never filled
    if (!isServerError(error) || !['42501', '55000'].includes(error.code)) throw error;
    return error.code === '42501';
  }
}

export async function sizeWords(db: Queryable, table: TableName): Promise<string> {
  const size = await readTableSize(db, table);
  const { rows = null, bytes = 0 } = size ?? {};
  const space = bytes >= 1024 ** 3 ? `${(bytes / 1024 ** 3).toFixed(1)} GB` : `${Math.ceil(bytes / 1024 ** 2)} MB`;
  // a table that was not analyzed yet says 0, or nothing
  return rows === null || rows === 0 ? `rows that were not counted yet, ${space}` : `about ${rows} rows, ${space}`;
}
