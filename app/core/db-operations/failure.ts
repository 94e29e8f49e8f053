import { redact } from '../../config/redaction.js';
import { isConnectionLost } from '../../services/connection/connection-errors.js';
import { asManageDbError, isServerError } from '../../services/database-errors.js';
import { codeOf, errorWith, ManageDbError, messageOf } from '../errors.js';

/**
 * `error` with a sentence about what was and was not changed: the first question of someone whose backup or restore
 * has failed. An error while `signal` is aborted is the interruption, whatever broke because of it.
 */
export function explained(error: unknown, sentence: string, signal?: AbortSignal): ManageDbError {
  if (signal?.aborted) return new ManageDbError('INTERRUPTED', `Interrupted. ${sentence}`, { cause: error });
  const known = named(error);
  const message = known.message.trimEnd();
  // below what is a list, or what a program said
  const text = message.includes('\n')
    ? `${message}\n${sentence}`
    : `${/[.!?]$/.test(message) ? message : `${message}.`} ${sentence}`;
  const { code, hint, details } = known;
  return errorWith(code, text, { ...(hint === null ? {} : { hint }), details, cause: known.cause ?? error });
}

function named(error: unknown): ManageDbError {
  if (error instanceof ManageDbError) return error;
  const isLost = isConnectionLost(error) || ['ECONNRESET', 'EPIPE'].includes(codeOf(error) ?? '');
  if (!isLost && isServerError(error)) return asManageDbError(error);
  return new ManageDbError(isLost ? 'CONNECTION_LOST' : 'INTERNAL', redact(messageOf(error)), { cause: error });
}
