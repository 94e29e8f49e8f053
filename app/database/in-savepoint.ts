import type { Queryable } from './queryable.js';

const SAVEPOINT = 'savepoint manage_db_try';
const RELEASE = 'release savepoint manage_db_try';
const UNDO = `rollback to savepoint manage_db_try; ${RELEASE}`;

/**
 * Runs `work` in the open transaction. What it did is undone when it throws, and the transaction goes on; also what was set.
 *
 * @throws what `work` throws
 * @example await inSavepoint(db, () => db.query('select 1 / 0')).catch(() => 'the transaction goes on');
 */
export function inSavepoint<T>(db: Queryable, work: () => Promise<T>): Promise<T> {
  return tried(db, work, RELEASE);
}

/** The same, and what it did is undone when it does not throw, either. */
export function inUndoneSavepoint<T>(db: Queryable, work: () => Promise<T>): Promise<T> {
  return tried(db, work, UNDO);
}

/** The name is that of the innermost one. */
async function tried<T>(db: Queryable, work: () => Promise<T>, end: string): Promise<T> {
  await db.query(SAVEPOINT);
  let result: T;
  try {
    result = await work();
  } catch (error) {
    // where the session is gone, that is what `error` says
    await db.query(UNDO).catch(() => undefined);
    throw error;
  }
  await db.query(end);
  return result;
}
