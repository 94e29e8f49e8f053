import { inSavepoint, inUndoneSavepoint } from '../../../database/in-savepoint.js';
import type { Queryable } from '../../../database/queryable.js';
import { isConnectionLost } from '../../../services/connection/connection-errors.js';
import { isServerError, type ServerError } from '../../../services/database-errors.js';
import { codeOf, messageOf } from '../../errors.js';

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: ServerError | NoRow };

/** Why there is no row to work with, in a sentence. */
export class NoRow extends Error {}

/** A table that is empty says nothing about what is wrong with new rows. */
export class NothingToCopy extends NoRow {}

/** Another session holds a lock: whatever else is tried on the table would wait for it, too. */
export class LockedOut extends Error {}

/** A function has ended the session in which it ran. What it did is rolled back; another session is needed. */
export class SessionEnded extends Error {
  /** While a row was made that another statement needs; `false`: by the statement that was tried. */
  isWhileMaking = false;

  constructor(readonly error: ServerError) {
    super(messageOf(error), { cause: error });
  }
}

const LOCK_NOT_AVAILABLE = '55P03';

/** Runs `work`, and undoes everything that it did. */
export function tried<T>(db: Queryable, work: () => Promise<T>): Promise<Outcome<T>> {
  return settled(() => inUndoneSavepoint(db, work));
}

/** Runs `work`, and undoes what it did only when it fails. */
export function kept<T>(db: Queryable, work: () => Promise<T>): Promise<Outcome<T>> {
  return settled(() => inSavepoint(db, work));
}

/** @throws LockedOut, SessionEnded, and whatever is no answer of the server to the statement: then the transaction is over */
async function settled<T>(work: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    if (error instanceof NoRow) return { ok: false, error };
    if (codeOf(error) === LOCK_NOT_AVAILABLE) throw new LockedOut(messageOf(error), { cause: error });
    // without a function in its context, somebody else has ended it
    if (isServerError(error) && isConnectionLost(error) && (error.where ?? '') !== '') throw new SessionEnded(error);
    // FATAL and PANIC end the session
    if (isServerError(error) && error.severity === 'ERROR') return { ok: false, error };
    throw error;
  }
}
