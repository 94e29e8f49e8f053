import { connectForOperation } from '../../services/database-service.js';
import { guarded, type OperationOptions } from '../safety/gate.js';
import type { Check } from './maintenance/check.js';
import { type DropResult, dropAllObjects, UNCHANGED } from './maintenance/drop-all.js';
import { type ResetOptions, type ResetResult, resetDatabase } from './maintenance/reset.js';
import { runChecks } from './maintenance/run-checks.js';
import { whileOthersAreKeptOut } from './scratch/keep-others-out.js';

export type { DroppedObject } from './dropping/drop-plan.js';
export type { Check, CheckStatus } from './maintenance/check.js';
export type { DropResult } from './maintenance/drop-all.js';
export type { ResetOptions, ResetResult } from './maintenance/reset.js';

const SLOW_CONNECTION_MS = 1000;

/**
 * Looks at a database and its server: each finding has a severity, a value, a sentence and, where something can be done,
 * the command or SQL that mends it. Changes nothing. What may not be read is a finding, too.
 *
 * @throws ManageDbError a connection code, when the database cannot be reached
 * @example const { checks } = await checkDb({ env: 'staging' });
 */
export function checkDb(options: OperationOptions = {}): Promise<{ readonly checks: readonly Check[] }> {
  return guarded('check-database', options, async (target) => {
    const { signal } = options;
    const started = performance.now();
    const client = await connectForOperation(target.settings, { signal });
    const connection = connectionCheck(Math.round(performance.now() - started));
    try {
      await client.query(
        `begin read only; set local lock_timeout = '3s'; set local statement_timeout = '30s'; set local jit = off`,
      );
      const checks = await runChecks(client, target, options);
      await client.query('commit');
      return { checks: [connection, ...checks] };
    } finally {
      await client.end();
    }
  });
}

/**
 * Drops every table, view, sequence, type, routine and schema of users, and what belongs to the database itself, such as
 * publications and large objects, after a backup of them; extensions, the schema `public`, subscriptions and the records of
 * manage_db stay. One transaction: all of it or nothing.
 *
 * @throws ManageDbError `PERMISSION_DENIED` (objects of other owners, listed), `LOCK_TIMEOUT` (names who is in the way),
 *   `DATABASE_IN_USE` (another restore, copy, drop or reset is running, or somebody made, changed or dropped objects meanwhile),
 *   `KILL_SWITCH`, `STAMP_MISMATCH`, `SQL_FAILED`, what making a backup throws; nothing is dropped then
 * @example const { dropped, undo } = await dropAllTables({ env: 'testing', consent: { yes: true } });
 */
export function dropAllTables(options: OperationOptions = {}): Promise<DropResult> {
  return guarded('drop-all-tables', options, async (target, permit) => {
    const result = await whileOthersAreKeptOut(target, UNCHANGED, (stillAlone) =>
      dropAllObjects(target, { ...options, operation: 'drop-all-tables', stillAlone }),
    );
    permit.note({ safetyBackup: result.safetyBackup });
    return result;
  });
}

/**
 * Drops everything as {@link dropAllTables} does, with a backup first, then initializes the database as `initDb` does.
 *
 * @throws ManageDbError what these two throw. Migrations and trigger files are read before anything is dropped; when applying
 *   them fails, the database is empty up to there, and the error says how it comes back: mend, and run `initialize-db`.
 * @example const { undo } = await resetDb({ env: 'development', seed: true });
 */
export function resetDb(options: OperationOptions & ResetOptions = {}): Promise<ResetResult> {
  return guarded('reset-database', options, async (target, permit) => {
    const result = await whileOthersAreKeptOut(target, UNCHANGED, (stillAlone) =>
      resetDatabase(target, { ...options, stillAlone }),
    );
    permit.note({ safetyBackup: result.safetyBackup });
    return result;
  });
}

function connectionCheck(milliseconds: number): Check {
  const isSlow = milliseconds > SLOW_CONNECTION_MS;
  return {
    name: 'connection',
    status: isSlow ? 'warning' : 'ok',
    value: milliseconds,
    detail: `Connected in ${milliseconds} ms.`,
    fix: isSlow ? 'manage_db doctor' : null,
  };
}
