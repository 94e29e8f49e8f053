/**
 * Every failure that a user can meet is a {@link ManageDbError}: one class, one list of codes.
 *
 * The message says what happened, to which object, on which database, and what is unchanged; the hint is the next
 * command or line to type. Neither may contain a secret.
 */

/** Exit codes of the CLI. */
export const EXIT = {
  done: 0,
  failed: 1,
  refused: 2,
  pending: 3,
  drift: 4,
  lockTimeout: 5,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The exit code that each error code leads to. The keys are the complete list of codes; scripts/dev/reference/error-explanations.ts says what they mean. */
export const EXIT_CODES = {
  // wrong usage: nothing was attempted
  USAGE: EXIT.refused,
  UNKNOWN_COMMAND: EXIT.refused,
  UNKNOWN_ENVIRONMENT: EXIT.refused,
  INVALID_CONFIGURATION: EXIT.refused,
  MISSING_SETTING: EXIT.refused,
  INVALID_DATABASE_URL: EXIT.refused,
  UNREADABLE_FILE: EXIT.refused,
  NOT_FOUND: EXIT.refused,
  DRIFT: EXIT.drift,
  // refused by the gate
  CONFIRMATION_REQUIRED: EXIT.refused,
  CONFIRMATION_MISMATCH: EXIT.refused,
  PROTECTED_ENVIRONMENT: EXIT.refused,
  PERMISSION_DENIED: EXIT.refused,
  STAMP_REQUIRED: EXIT.refused,
  STAMP_MISMATCH: EXIT.refused,
  KILL_SWITCH: EXIT.refused,
  REHEARSAL_REQUIRED: EXIT.refused,
  // the server, or the way to it
  CONNECTION_REFUSED: EXIT.failed,
  CONNECTION_TIMEOUT: EXIT.failed,
  CONNECTION_LOST: EXIT.failed,
  HOST_NOT_FOUND: EXIT.failed,
  SSL_FAILED: EXIT.failed,
  AUTHENTICATION_FAILED: EXIT.failed,
  DATABASE_MISSING: EXIT.failed,
  TOO_MANY_CONNECTIONS: EXIT.failed,
  SERVER_TOO_OLD: EXIT.failed,
  SERVER_UNAVAILABLE: EXIT.failed,
  TARGET_SESSION_ATTRS: EXIT.failed,
  // the machine
  CLIENT_TOOLS_MISSING: EXIT.failed,
  CLIENT_TOOL_FAILED: EXIT.failed,
  DISK_FULL: EXIT.failed,
  EMBEDDED_SERVER_FAILED: EXIT.failed,
  SECRET_COMMAND_FAILED: EXIT.failed,
  // the work
  SQL_FAILED: EXIT.failed,
  HOOK_FAILED: EXIT.failed,
  FEATURE_TEST_FAILED: EXIT.failed,
  CHECK_FAILED: EXIT.failed,
  DATABASE_IN_USE: EXIT.failed,
  BACKUP_INVALID: EXIT.failed,
  DECRYPTION_FAILED: EXIT.failed,
  STORAGE_FAILED: EXIT.failed,
  MIGRATION_EDITED: EXIT.failed,
  MIGRATION_MISSING: EXIT.failed,
  MIGRATION_OUT_OF_ORDER: EXIT.failed,
  MIGRATION_UNFINISHED: EXIT.failed,
  MIGRATION_IRREVERSIBLE: EXIT.refused,
  // refused before anything of the migration is executed
  UNSAFE_MIGRATION: EXIT.refused,
  SCHEMA_TOO_NEW: EXIT.failed,
  OPERATION_LOG_BROKEN: EXIT.failed,
  AUDIT_LOG_BROKEN: EXIT.failed,
  LOCK_TIMEOUT: EXIT.lockTimeout,
  INTERRUPTED: EXIT.interrupted,
  INTERNAL: EXIT.failed,
} as const satisfies Record<string, ExitCode>;

export type ErrorCode = keyof typeof EXIT_CODES;

export interface ErrorOptions {
  /** The next thing to type or to change. */
  readonly hint?: string;
  /** Facts for programs; printed in the JSON envelope. Never secrets. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * An error made for a person: `code` for programs, `message` for what happened, `hint` for what to do next.
 *
 * @example
 * throw new ManageDbError('MISSING_SETTING', 'production has no database URL.', {
 *   hint: 'Set PRODUCTION_DATABASE_URL, for instance in .env.production.',
 * });
 */
export class ManageDbError extends Error {
  override readonly name: string = 'ManageDbError';
  readonly code: ErrorCode;
  readonly hint: string | null;
  readonly details: Readonly<Record<string, unknown>>;
  readonly exitCode: ExitCode;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? null;
    this.details = options.details ?? {};
    this.exitCode = EXIT_CODES[code];
  }
}

/**
 * What somebody may not do: refused by the gate for want of a level, or by PostgreSQL for want of a privilege. Its code
 * is always `PERMISSION_DENIED`.
 *
 * @example
 * if (error instanceof PermissionError) reply.status(403);
 */
export class PermissionError extends ManageDbError {
  override readonly name = 'PermissionError';

  constructor(message: string, options: ErrorOptions = {}) {
    super('PERMISSION_DENIED', message, options);
  }
}

/** The error of the class that belongs to `code`, where the code is only known at run time. */
export function errorWith(code: ErrorCode, message: string, options: ErrorOptions = {}): ManageDbError {
  return code === 'PERMISSION_DENIED'
    ? new PermissionError(message, options)
    : new ManageDbError(code, message, options);
}

/** `error` as one line of text, whatever was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** The `code` of a system or PostgreSQL error (`ENOENT`, `42P01`), or `undefined`. */
export function codeOf(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
