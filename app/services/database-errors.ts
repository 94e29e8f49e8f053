import { redact } from '../config/redaction.js';
import { codeOf, type ErrorCode, ManageDbError, messageOf } from '../core/errors.js';

/** SQLSTATEs that mean something of their own to a user, in named sets (manual, appendix A). */
const SQLSTATES = {
  permission: ['42501'],
  lock: ['55P03', '40P01'],
  inUse: ['55006'],
} as const satisfies Record<string, readonly string[]>;

/** What PostgreSQL says beside the message, as `pg` gives it. */
interface ServerError extends Error {
  readonly code: string;
  readonly severity: string;
  readonly detail?: string;
  readonly hint?: string;
  readonly where?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly constraint?: string;
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
  return new ManageDbError(kindOf(error.code), redact(`${error.message}.${detail} (SQLSTATE ${error.code})`), {
    hint: redact(error.hint ?? hintFor(error.code)),
    details: {
      sqlstate: error.code,
      schema: error.schema,
      table: error.table,
      constraint: error.constraint,
      where: error.where,
    },
    cause: error,
  });
}

/** Whether the server refused a statement, rather than the connection or the program failing. */
function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'severity' in error && /^[0-9A-Z]{5}$/.test(codeOf(error) ?? '');
}

function kindOf(sqlstate: string): ErrorCode {
  if ((SQLSTATES.permission as readonly string[]).includes(sqlstate)) return 'PERMISSION_DENIED';
  if ((SQLSTATES.lock as readonly string[]).includes(sqlstate)) return 'LOCK_TIMEOUT';
  if ((SQLSTATES.inUse as readonly string[]).includes(sqlstate)) return 'DATABASE_IN_USE';
  return 'SQL_FAILED';
}

function hintFor(sqlstate: string): string {
  switch (kindOf(sqlstate)) {
    case 'PERMISSION_DENIED':
      return "The login lacks a privilege: use the owner's, or have it granted. Which login it is: manage_db show-config";
    case 'LOCK_TIMEOUT':
      return 'Another session holds the lock: see manage_db check-database, and try again.';
    case 'DATABASE_IN_USE':
      return 'End the sessions that use the database, and try again.';
    default:
      return 'The transaction was rolled back; nothing of it remains.';
  }
}
