import type { Queryable } from './queryable.js';

/**
 * Runs `work` without just-in-time compilation, which takes the server some thirty times as long for queries of the catalog with
 * many expressions as it takes to evaluate them.
 *
 * @param db in a transaction
 */
export async function withoutJit<T>(db: Queryable, work: () => Promise<T>): Promise<T> {
  const { rows } = await db.query<{ jit: string }>(`select pg_catalog.current_setting('jit') as jit`);
  await db.query(SET_JIT, ['off']);
  const result = await work();
  await db.query(SET_JIT, [rows[0]?.jit ?? 'on']);
  return result;
}

const SET_JIT = `select pg_catalog.set_config('jit', $1, true)`;
