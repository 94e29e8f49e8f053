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

export interface LockWish {
  readonly tables: readonly LockedTable[];
  /**
   * Who is waited for: those that write (CREATE TRIGGER, ALTER TABLE … TRIGGER), all that have locked a table (DROP TRIGGER),
   * or those that have one for themselves, which need not be among `tables` (printing a condition).
   */
  readonly waitsFor: 'writers' | 'everybody' | 'exclusive';
  /** What it is called; the names of the tables where absent. */
  readonly name?: string;
}

/** A lock was not to be had. The transaction is over; who held it has to be asked on another connection. */
export class TriggerLockError extends Error {
  constructor(
    readonly wish: LockWish,
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
 * Runs `work`, which locks what `wish` says.
 *
 * @throws TriggerLockError when a lock was not to be had in time, or only at the price of a deadlock
 */
export async function withLockErrors<T>(wish: LockWish, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asLockError(error, wish) ?? error;
  }
}

/** Of an error of the server that says so; `null` for any other. */
export function asLockError(error: unknown, wish: LockWish = LOOKING): TriggerLockError | null {
  if (error instanceof TriggerLockError) return error;
  return errorCodeOf(codeOf(error)) === 'LOCK_TIMEOUT' ? new TriggerLockError(wish, error) : null;
}

/** What only looking waits for: the server reads a table's columns to print a condition. */
const LOOKING: LockWish = { tables: [], waitsFor: 'exclusive', name: 'a table that another session has for itself' };

/** The sessions that stand in the way, on the tables or their partitions. */
export function readTriggerLockHolders(db: Queryable, { wish }: TriggerLockError): Promise<readonly LockHolder[]> {
  if (wish.waitsFor === 'exclusive') return readLockHolders(db, { modes: ['AccessExclusiveLock'] });
  const oids = wish.tables.map(({ oid }) => oid);
  return readLockHolders(db, wish.waitsFor === 'everybody' ? { oids } : { oids, modes: CONFLICTING_MODES });
}

/** The error for a person: which table, and whose session holds it. `unchanged`: one sentence, what did not happen. */
export function explainLockError(
  { wish, cause }: TriggerLockError,
  holders: readonly LockHolder[],
  { waitedMs, unchanged }: { readonly waitedMs: number; readonly unchanged: string },
): ManageDbError {
  const names = [...new Set(wish.tables.map(({ schema, name }) => `${schema}.${name}`))];
  const tables = names.length === 1 ? (names[0] ?? '') : `${names.length} tables`;
  return lockTimeoutError({ wanted: wish.name ?? tables, waitedMs, holders, unchanged, cause });
}
