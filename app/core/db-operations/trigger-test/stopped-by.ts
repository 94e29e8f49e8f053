import { redact } from '../../../config/redaction.js';
import type { TestableTrigger } from '../../../database/catalog/testable-triggers.js';
import type { ServerError } from '../../../services/database-errors.js';
import { NoRow, type SessionEnded } from './savepoint.js';

export interface Stop {
  /** Those that can have stopped the statement: more than one where several share a function. */
  readonly triggers: readonly TestableTrigger[];
  /** `refusal`: the function raised the error itself; `data`: it could not work with this row; `broken`: with none. */
  readonly kind: 'refusal' | 'data' | 'broken';
  readonly message: string;
}

/** data_exception and integrity_constraint_violation: another row might have passed. */
const OF_DATA = ['22', '23'];
/** query_canceled, by our own limit. */
export const TIMED_OUT = '57014';
/** lock_not_available. */
const LOCKED = '55P03';

/**
 * Who stopped a statement, by the context that PostgreSQL gives with an error: its last line is the outermost function,
 * which is that of a trigger of the statement's own table, or else another statement that a foreign key executed.
 */
export function stoppedBy(error: ServerError | NoRow, triggers: readonly TestableTrigger[]): Stop | null {
  if (error instanceof NoRow) return null;
  const frames = (error.where ?? '').trim().split('\n');
  const outermost = frames.at(-1) ?? '';
  const stopping = triggers.filter(({ signatures }) =>
    signatures.some((signature) => ` ${outermost}`.includes(` ${signature}`)),
  );
  if (stopping.length === 0) return null;
  // PostgreSQL translates the words around it, and never the name of the statement
  const isRaised = /\bRAISE\b/.test(frames[0] ?? '') && error.code !== TIMED_OUT && error.code !== LOCKED;
  const kind = isRaised ? 'refusal' : OF_DATA.includes(error.code.slice(0, 2)) ? 'data' : 'broken';
  return { triggers: stopping, kind, message: messageFor(error) };
}

export function endOf({ error }: SessionEnded): string {
  return `Its function ended the session: ${messageFor(error)}`;
}

/** One line for people, of an error or of the reason why there is no row. */
export function messageFor(error: ServerError | NoRow): string {
  if (error instanceof NoRow) return error.message;
  const message = error.message.trim();
  const state = error.code === 'P0001' ? '' : ` (SQLSTATE ${error.code})`;
  return redact(/[.!?]$/.test(message) && state === '' ? message : `${message}${state}.`);
}
