import { redact } from '../config/redaction.js';
import { codeOf, ManageDbError } from '../core/errors.js';
import type { LockHolder } from '../database/catalog/lock-holders.js';

export interface LockTimeout {
  /** What was to be locked: `the objects of clinic`. */
  readonly wanted: string;
  readonly waitedMs: number;
  /** Asked after the rollback and on another connection; the failed transaction can no longer ask. */
  readonly holders: readonly LockHolder[];
  /** One sentence: what did not happen. */
  readonly unchanged: string;
  readonly cause: unknown;
}

const SHOWN = 3;
const DEADLOCK = '40P01';

/**
 * The error for work that did not get its locks, or was chosen to end a deadlock; names who holds them.
 *
 * @example throw lockTimeoutError({ wanted: 'the objects of clinic', waitedMs, holders, unchanged: 'Nothing was dropped.', cause });
 */
export function lockTimeoutError({ wanted, waitedMs, holders, unchanged, cause }: LockTimeout): ManageDbError {
  const pids = holders.flatMap(({ pid }) => (pid === null ? [] : [pid])).slice(0, SHOWN);
  const problem =
    codeOf(cause) === DEADLOCK
      ? `A deadlock over ${wanted}: another session waited for us while we waited for it.`
      : `Could not lock ${wanted} within ${waitedMs / 1000} s.`;
  const inTheWay = holders.slice(0, SHOWN).map(described).join('; ');
  return new ManageDbError(
    'LOCK_TIMEOUT',
    [problem, ...(inTheWay === '' ? [] : [`In the way: ${inTheWay}.`]), unchanged].join(' '),
    {
      hint:
        pids.length > 0
          ? `Wait for it, or end it: ${pids.map((pid) => `select pg_terminate_backend(${pid});`).join(' ')}`
          : holders.length > 0
            ? 'It never goes by itself. See select gid, prepared, owner from pg_prepared_xacts; and end it: commit prepared or rollback prepared, with its gid.'
            : 'Whoever was in the way seems to be gone: try again.',
      details: { blockers: holders.map((holder) => ({ ...holder, query: shortened(holder.query) })) },
      cause,
    },
  );
}

function described({ pid, user, application, state, query, seconds, relation }: LockHolder): string {
  if (pid === null) return `a prepared transaction with a lock on ${relation} (see pg_prepared_xacts)`;
  const doing = state === null || seconds === null ? state : `${state} for ${Math.round(seconds)} s`;
  const who = [user, application, doing].filter(Boolean).join(', ');
  return `pid ${pid} (${who}) with a lock on ${relation}: ${shortened(query) ?? 'query not visible'}`;
}

function shortened(query: string | null): string | null {
  if (query === null) return null;
  const line = redact(query).replace(/\s+/g, ' ').trim();
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}
