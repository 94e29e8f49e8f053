import { type LockHolder, readLockHolders } from '../../database/catalog/lock-holders.js';
import type { Queryable } from '../../database/queryable.js';
import { errorCodeOf } from '../../services/database-errors.js';
import { lockTimeoutError } from '../../services/lock-timeout-error.js';
import { codeOf, type ManageDbError } from '../errors.js';

export interface LockedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** A lock was not to be had. The transaction is over; who held it has to be asked on another connection. */
export class TriggerLockError extends Error {
  constructor(
    readonly tables: readonly LockedTable[],
    cause: unknown,
  ) {
    super('a table stayed locked', { cause });
  }
}

/** What conflicts with the SHARE ROW EXCLUSIVE lock of CREATE TRIGGER. */
const CONFLICTING_MODES = [
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
];

/**
 * Runs `work`, which locks `tables`.
 *
 * @throws TriggerLockError when a lock was not to be had in time, or only at the price of a deadlock
 */
export async function withLockErrors<T>(tables: readonly LockedTable[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw errorCodeOf(codeOf(error)) === 'LOCK_TIMEOUT' ? new TriggerLockError(tables, error) : error;
  }
}

/** The sessions that stand in the way of creating triggers on `tables` or their partitions. */
export function readTriggerLockHolders(db: Queryable, { tables }: TriggerLockError): Promise<readonly LockHolder[]> {
  return readLockHolders(db, { oids: tables.map(({ oid }) => oid), modes: CONFLICTING_MODES });
}

/** The error for a person: which table, and whose session holds it. */
export function explainLockError(
  error: TriggerLockError,
  holders: readonly LockHolder[],
  waitedMs: number,
): ManageDbError {
  const names = [...new Set(error.tables.map(({ schema, name }) => `${schema}.${name}`))];
  return lockTimeoutError({
    wanted: names.length === 1 ? (names[0] ?? '') : `${names.length} tables`,
    waitedMs,
    holders,
    unchanged: 'No trigger was changed.',
    cause: error.cause,
  });
}
