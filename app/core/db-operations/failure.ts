import { codeOf, type ErrorCode, ManageDbError, messageOf } from '../errors.js';

/**
 * `error` with a sentence about what was and was not changed: the first question of someone whose backup or restore
 * has failed. An error while `signal` is aborted is the interruption, whatever broke because of it.
 */
export function explained(error: unknown, sentence: string, signal?: AbortSignal): ManageDbError {
  if (signal?.aborted) return new ManageDbError('INTERRUPTED', `Interrupted. ${sentence}`, { cause: error });
  const message = messageOf(error).trimEnd();
  const text = `${/[.!?]$/.test(message) ? message : `${message}.`} ${sentence}`;
  if (!(error instanceof ManageDbError)) return new ManageDbError(codeFor(error), text, { cause: error });
  const { code, hint, details } = error;
  return new ManageDbError(code, text, { ...(hint === null ? {} : { hint }), details, cause: error.cause ?? error });
}

/** SQLSTATEs are five characters, the system's codes (`ENOSPC`) and Node's are not. */
function codeFor(error: unknown): ErrorCode {
  const code = codeOf(error);
  if (code === undefined) return messageOf(error).startsWith('Connection terminated') ? 'CONNECTION_LOST' : 'INTERNAL';
  if (code === '55P03') return 'LOCK_TIMEOUT';
  if (code === '42501') return 'PERMISSION_DENIED';
  if (/^08|^57P/.test(code) || code === 'ECONNRESET' || code === 'EPIPE') return 'CONNECTION_LOST';
  return /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code) ? 'SQL_FAILED' : 'INTERNAL';
}

/** @throws ManageDbError `INTERRUPTED` */
export function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ManageDbError('INTERRUPTED', 'Interrupted.');
}
