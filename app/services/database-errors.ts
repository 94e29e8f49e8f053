import { redact } from '../config/redaction.js';
import { codeOf, type ErrorCode, errorWith, ManageDbError, messageOf } from '../core/errors.js';

/** SQLSTATEs that mean something of their own to a user (manual, appendix A), and ours. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  '42501': 'PERMISSION_DENIED', // insufficient_privilege
  '55P03': 'LOCK_TIMEOUT', // lock_not_available
  '40P01': 'LOCK_TIMEOUT', // deadlock_detected
  '55006': 'DATABASE_IN_USE', // object_in_use
  MDB02: 'KILL_SWITCH', // raised by manage_db.require_kill_switch_off()
};

/** What PostgreSQL says beside the message, as `pg` gives it. */
export interface ServerError extends Error {
  readonly code: string;
  readonly severity: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly where?: string;
  /** Of the place in the statement, in characters from 1. */
  readonly position?: string;
  /** The same for a statement that a function or a block executed: `internalQuery`. */
  readonly internalPosition?: string;
  readonly internalQuery?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly constraint?: string;
}

/**
 * What a failed statement is called, everywhere: by its SQLSTATE, `SQL_FAILED` where that has no name of its own.
 *
 * @example errorCodeOf('40P01') // 'LOCK_TIMEOUT'
 */
export function errorCodeOf(sqlState: string | undefined): ErrorCode {
  return CODES[sqlState ?? ''] ?? 'SQL_FAILED';
}

/** Any error as one that can be shown: a failed statement keeps PostgreSQL's own words, detail and hint. */
export function asManageDbError(error: unknown): ManageDbError {
  if (error instanceof ManageDbError) return error;
  if (!isServerError(error)) {
    return new ManageDbError('INTERNAL', `Something that should not happen did: ${redact(messageOf(error))}`, {
      hint: 'Run it again with --verbose and report what it prints.',
      cause: error,
    });
  }
  const detail = error.detail === undefined ? '' : ` ${error.detail}`;
  return errorWith(errorCodeOf(error.code), redact(`${error.message}.${detail} (SQLSTATE ${error.code})`), {
    hint: redact(error.hint ?? hintFor(error.code)),
    details: {
      sqlState: error.code,
      schema: error.schema,
      table: error.table,
      constraint: error.constraint,
      where: error.where,
    },
    cause: error,
  });
}

/** Whether the server refused a statement, rather than the connection or the program failing. */
export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'severity' in error && /^[0-9A-Z]{5}$/.test(codeOf(error) ?? '');
}

function hintFor(sqlState: string): string {
  switch (errorCodeOf(sqlState)) {
    case 'PERMISSION_DENIED':
      return "The login lacks a privilege: use the owner's, or have it granted. Which login it is: manage_db show-config";
    case 'LOCK_TIMEOUT':
      return 'Another session holds the lock: see manage_db check-database, and try again.';
    case 'DATABASE_IN_USE':
      return 'End the sessions that use the database, and try again.';
    case 'KILL_SWITCH':
      return 'See who engaged it, and why: manage_db kill-switch status';
    default:
      return 'The transaction was rolled back; nothing of it remains.';
  }
}
