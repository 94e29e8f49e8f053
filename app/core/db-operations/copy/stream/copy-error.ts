import { redact } from '../../../../config/redaction.js';
import { isConnectionLost } from '../../../../services/connection/connection-errors.js';
import { CopyFailure } from '../../../../services/connection/copy-between.js';
import { asManageDbError, isServerError, type ServerError } from '../../../../services/database-errors.js';
import { codeOf, errorWith, ManageDbError, messageOf } from '../../../errors.js';

/** Runs `work`; what fails in it is said together with what it was about: `The rows of public.notes could not be copied`. */
export async function naming<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw named(what, error);
  }
}

/**
 * {@link naming} for values that the source computes so that others do not leave it: what it says about them may quote them, and what is
 * said here may be written down elsewhere.
 */
export function namingSecret<T>(what: string, work: () => Promise<T>): Promise<T> {
  return naming(what, async () => {
    try {
      return await work();
    } catch (error) {
      if (error instanceof CopyFailure && error.side === 'source' && isAboutValues(error.cause))
        throw withoutValues(error);
      throw error;
    }
  });
}

/** What the server says about statements (class 42) and about itself names none. */
function isAboutValues(cause: unknown): cause is ServerError {
  return isServerError(cause) && !/^(08|40|42|53|55|57|58|XX)/.test(cause.code);
}

function withoutValues({ side, cause }: CopyFailure): CopyFailure {
  const code = isServerError(cause) ? cause.code : '';
  const quiet = new Error(`what is selected cannot be computed for every row (SQLSTATE ${code})`);
  return new CopyFailure(side, Object.assign(quiet, { code, severity: 'ERROR' }));
}

const SIDES = { source: 'the source has failed', target: 'the scratch database has refused them' } as const;

function named(what: string, error: unknown): ManageDbError {
  if (error instanceof ManageDbError) return error;
  const side = error instanceof CopyFailure ? error.side : null;
  const cause = error instanceof CopyFailure ? error.cause : error;
  const sentence = side === null ? what : `${what}: ${SIDES[side]}`;
  const { code, message, hint } = said(cause);
  return errorWith(code, `${sentence}: ${message}`, {
    ...(hint === null ? {} : { hint }),
    details: { side, sqlState: isServerError(cause) ? cause.code : null },
    cause,
  });
}

function said(error: unknown): Pick<ManageDbError, 'code' | 'message' | 'hint'> {
  const isLost = isConnectionLost(error) || ['ECONNRESET', 'EPIPE'].includes(codeOf(error) ?? '');
  if (isLost) {
    const hint = "Look into the server's log, and try again.";
    return { code: 'CONNECTION_LOST', message: `the connection was lost (${redact(messageOf(error))}).`, hint };
  }
  if (!isServerError(error)) return asManageDbError(error);
  if (error.code === DISK_FULL)
    return { code: 'DISK_FULL', message: `${redact(error.message)}.`, hint: "Make room on the server's disk." };
  if (error.code === UNDEFINED_OBJECT) {
    const hint =
      'Create on the server what it lacks. Where that is a role: create role … nologin, or copy --without owners --without grants.';
    return { code: 'NOT_FOUND', message: `${redact(error.message)}.`, hint };
  }
  return asManageDbError(error);
}

/** SQLSTATE disk_full */
const DISK_FULL = '53100';

/** SQLSTATE undefined_object: a role, a collation, a tablespace; not a relation, a function, a type. */
const UNDEFINED_OBJECT = '42704';
