import type { Queryable } from '../../../database/queryable.js';
export async function carryOperationLog(_a: Queryable, _b: Queryable) {
  return 0;
}
export async function carryLateEntries(_a: Queryable, _b: Queryable) {
  return 0;
}
