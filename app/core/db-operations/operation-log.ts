import type { Queryable } from '../../database/queryable.js';
import { readObservation } from '../../database/records/observation.js';
import {
  type LoggedOperation,
  OPERATION_EVENTS,
  type OperationEvent,
  readHead,
  readLogState,
  readOperationLog,
} from '../../database/records/operation-log.js';
import { getOperationSession } from '../../services/database-service.js';
import { ManageDbError, PermissionError } from '../errors.js';
import { guarded, type OperationOptions, type Target } from '../safety/gate.js';
import { readMirror } from '../safety/operation-log/heads.js';
import { listPending, listRefused } from '../safety/operation-log/pending.js';
import { shellQuote } from '../shell-quote.js';
import { type LogFinding, missingLog, verifyLog } from './operation-log/verify.js';

export type { LoggedOperation, OperationEvent } from '../../database/records/operation-log.js';
export type { LogFinding } from './operation-log/verify.js';

export interface ShowOperationLogOptions extends OperationOptions {
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly operation?: string | undefined;
  readonly event?: OperationEvent | undefined;
  /** The actor or the login. */
  readonly actor?: string | undefined;
  /** The newest so many; 50 by default. */
  readonly limit?: number | undefined;
}

export interface ShownOperationLog {
  /** The newest first. */
  readonly entries: readonly LoggedOperation[];
  /** Entries that wait in the workspace for the database. */
  readonly pending: number;
  /** Entries that the database has refused; they remain in the workspace. */
  readonly refused: number;
  /** `false`: nothing was ever logged in this database, or this login may not read it. */
  readonly hasLog: boolean;
}

export interface VerifiedOperationLog {
  readonly ok: boolean;
  readonly entries: number;
  /** The newest entry. */
  readonly head: { readonly id: number; readonly hash: string } | null;
  /** Whether this workspace remembers an end of the log: only then is it found when entries are missing there. */
  readonly isMirrored: boolean;
  readonly findings: readonly LogFinding[];
  readonly pending: number;
  readonly refused: number;
}

const LIMIT = 50;
const MOST = 1_000_000;

/**
 * The newest entries of the operation log.
 *
 * @throws ManageDbError `USAGE`, and what the gate and connecting throw
 * @example const { entries } = await showOperationLog({ env: 'production', event: 'denied', since: yesterday });
 */
export function showOperationLog(options: ShowOperationLogOptions = {}): Promise<ShownOperationLog> {
  const { limit = LIMIT, event } = options;
  const refuse = (message: string) =>
    new ManageDbError('USAGE', message, { hint: 'manage_db show-operation-log --help' });
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST)
    throw refuse(`--limit takes a number from 1 to ${MOST}, not ${limit}.`);
  if (event !== undefined && !OPERATION_EVENTS.includes(event)) throw refuse(`There is no event ${event}.`);
  return guarded('show-operation-log', options, (target) =>
    reading(target, options, async (db) => {
      const hasLog = (await readLogState(db)) === 'readable';
      const { operation, actor } = options;
      const [since, until] = [options.since?.toISOString(), options.until?.toISOString()];
      const entries = hasLog ? await readOperationLog(db, { since, until, operation, event, actor, limit }) : [];
      return { entries, ...waiting(target), hasLog };
    }),
  );
}

/**
 * Checks the operation log: every hash and every link, the triggers that protect it, and its end against the one that
 * this workspace remembers.
 *
 * @throws ManageDbError `PERMISSION_DENIED` to whom may not read it, and what the gate and connecting throw; what is wrong
 *   with the log is in `findings`
 * @example const { ok, findings } = await verifyOperationLog({ env: 'production' });
 */
export function verifyOperationLog(options: OperationOptions = {}): Promise<VerifiedOperationLog> {
  return guarded('verify-operation-log', options, async (target) => {
    const mirror = await reading(target, options, async (db) => readMirror(await readObservation(db)));
    return reading(target, options, async (db) => {
      const state = await readLogState(db);
      if (state === 'unreadable') throw unreadable(target);
      const { entries, findings } = state === 'readable' ? await verifyLog(db, mirror) : missingLog(state, mirror);
      const head = state === 'readable' ? await readHead(db) : null;
      return {
        ok: findings.length === 0,
        entries,
        head: head === null ? null : { id: head.id, hash: head.hash },
        isMirrored: mirror !== null,
        findings,
        ...waiting(target),
      };
    });
  });
}

function waiting(target: Target): { readonly pending: number; readonly refused: number } {
  return { pending: listPending(target).length, refused: listRefused(target).length };
}

function unreadable({ database, user, environment }: Target): PermissionError {
  return new PermissionError(`${user} may not read the operation log of ${database}; nothing was checked.`, {
    hint: `Let an admin run: manage_db grant-db-role viewer ${shellQuote(user)} --env ${environment}`,
  });
}

/** In one snapshot, and without anything that a search_path of the database or the login puts before PostgreSQL's own. */
function reading<T>(
  { environment }: Target,
  { signal }: OperationOptions,
  fn: (db: Queryable) => Promise<T>,
): Promise<T> {
  const session = { env: environment, readOnly: true, isolation: 'repeatable read' } as const;
  return getOperationSession(fn, { ...session, ...(signal === undefined ? {} : { signal }) });
}
