import { redact } from '../../../config/redaction.js';
import { type LockHolder, readLockHolders } from '../../../database/catalog/lock-holders.js';
import { getDbSession } from '../../../services/database-service.js';
import { ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';

const SHOWN = 3;

/**
 * The error for work that did not get its locks within `waitedMs`; names who holds them. To be made after the rollback:
 * the failed transaction can no longer ask, and its own locks are out of the picture.
 */
export async function lockTimeout(target: Target, waitedMs: number, cause: unknown): Promise<ManageDbError> {
  const holders = await getDbSession(readLockHolders, { env: target.environment, readOnly: true }).catch(() => []);
  const pids = holders.flatMap(({ pid }) => (pid === null ? [] : [pid])).slice(0, SHOWN);
  return new ManageDbError(
    'LOCK_TIMEOUT',
    [
      `Could not lock the objects of ${target.database} within ${waitedMs / 1000} s.`,
      ...(holders.length > 0 ? [`In the way: ${holders.slice(0, SHOWN).map(described).join('; ')}.`] : []),
      'Nothing was dropped.',
    ].join(' '),
    {
      hint:
        pids.length > 0
          ? `Wait for it, or end it: ${pids.map((pid) => `select pg_terminate_backend(${pid});`).join(' ')}`
          : 'Whoever held them seems to be gone: try again.',
      details: { blockers: holders.map((holder) => ({ ...holder, query: shortened(holder.query) })) },
      cause,
    },
  );
}

function described({ pid, user, application, state, query, relation }: LockHolder): string {
  if (pid === null) return `a prepared transaction with a lock on ${relation} (see pg_prepared_xacts)`;
  const who = [user, application].filter(Boolean).join(', ');
  return `pid ${pid} (${who}${state ? `, ${state}` : ''}) with a lock on ${relation}, ${shortened(query) ?? 'query not visible'}`;
}

function shortened(query: string | null): string | null {
  if (query === null) return null;
  const line = redact(query).replace(/\s+/g, ' ').trim();
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}
