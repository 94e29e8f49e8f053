import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../../database/queryable.js';
import { ManageDbError } from '../errors.js';

/** The connection was lost while it committed, and the server does not say what has become of it. */
export class UnknownOutcome extends ManageDbError {
  /** The same with one sentence more. */
  saying(sentence: string): UnknownOutcome {
    const { code, message, hint, details, cause } = this;
    return new UnknownOutcome(code, `${message} ${sentence}`, {
      ...(hint === null ? {} : { hint }),
      details,
      cause,
    });
  }
}

export interface Committing {
  /** What {@link CURRENT_TRANSACTION} has said. */
  readonly xid: string;
  /** For the message: `the restore`. */
  readonly what: string;
  /** Runs `work` on a new connection to the same server. */
  readonly anew: <T>(work: (db: Queryable) => Promise<T>) => Promise<T>;
}

export const CURRENT_TRANSACTION = 'select pg_catalog.pg_current_xact_id()::text as xid';

/** Milliseconds in which a server that was killed answers again, and a transaction that lost its client has ended. */
const ANSWER_MS = 10_000;
const ASK_EVERY_MS = 100;

/**
 * Whether a transaction was committed whose connection was lost: that may have been before or after the COMMIT had
 * arrived. The server knows, and is asked until it answers.
 *
 * @throws UnknownOutcome
 */
export async function isCommitted({ xid, what, anew }: Committing): Promise<boolean> {
  const deadline = Date.now() + ANSWER_MS;
  for (;;) {
    const status = await anew((db) => statusOf(db, xid)).catch((error: unknown) => ({ error }));
    if (typeof status === 'string' && status !== 'in progress') return status === 'committed';
    if (Date.now() > deadline) throw unknownOutcome({ xid, what }, status);
    await sleep(ASK_EVERY_MS);
  }
}

async function statusOf(db: Queryable, xid: string): Promise<string> {
  const { rows } = await db.query<{ status: string | null }>(
    'select pg_catalog.pg_xact_status($1::text::xid8) as status',
    [xid],
  );
  // null: so long ago that nobody knows
  return rows[0]?.status ?? 'aborted';
}

function unknownOutcome({ xid, what }: Pick<Committing, 'xid' | 'what'>, status: unknown): UnknownOutcome {
  const cause = typeof status === 'object' ? status : null;
  return new UnknownOutcome('CONNECTION_LOST', `It cannot be asked whether ${what} was committed.`, {
    hint: `When the server answers: select pg_xact_status('${xid}');`,
    ...(cause !== null && 'error' in cause ? { cause: cause.error } : {}),
  });
}
