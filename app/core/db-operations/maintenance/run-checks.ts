import { inSavepoint } from '../../../database/in-savepoint.js';
import type { Queryable } from '../../../database/queryable.js';
import { messageOf } from '../../errors.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import type { Check, CheckContext, RunCheck } from './check.js';
import { checkBlockedQueries } from './checks/blocked-queries.js';
import { checkCacheHitRatio } from './checks/cache-hit-ratio.js';
import { checkDatabaseSize } from './checks/database-size.js';
import { checkDisabledTriggers } from './checks/disabled-triggers.js';
import { checkDuplicateIndexes } from './checks/duplicate-indexes.js';
import { checkExtensions } from './checks/extensions.js';
import { checkForeignKeyIndexes } from './checks/foreign-keys-without-index.js';
import { checkIdentityStamp } from './checks/identity-stamp.js';
import { checkIdleInTransaction } from './checks/idle-in-transaction.js';
import { checkIndexBloat } from './checks/index-bloat.js';
import { checkInvalidIndexes } from './checks/invalid-indexes.js';
import { checkKillSwitch } from './checks/kill-switch.js';
import { checkLastBackup } from './checks/last-backup.js';
import { checkLongTransactions } from './checks/long-transactions.js';
import { checkPendingMigrations } from './checks/pending-migrations.js';
import { checkReplicationSlots } from './checks/replication-slots.js';
import { checkSequences } from './checks/sequences.js';
import { checkServerVersion } from './checks/server-version.js';
import { checkTableBloat } from './checks/table-bloat.js';
import { checkTables } from './checks/tables.js';
import { checkPrimaryKeys } from './checks/tables-without-primary-key.js';
import { checkTriggerDrift } from './checks/trigger-drift.js';
import { checkUnusedIndexes } from './checks/unused-indexes.js';
import { checkUnvalidatedConstraints } from './checks/unvalidated-constraints.js';
import { checkWraparound } from './checks/wraparound.js';

/** In the order in which they are shown: the server, its sessions, the schema, what is kept outside. */
const CHECKS: Readonly<Record<string, RunCheck>> = {
  'server-version': checkServerVersion,
  extensions: checkExtensions,
  'identity-stamp': checkIdentityStamp,
  'kill-switch': checkKillSwitch,
  'database-size': checkDatabaseSize,
  tables: checkTables,
  'long-transactions': checkLongTransactions,
  'idle-in-transaction': checkIdleInTransaction,
  'blocked-queries': checkBlockedQueries,
  wraparound: checkWraparound,
  'replication-slots': checkReplicationSlots,
  'cache-hit-ratio': checkCacheHitRatio,
  'table-bloat': checkTableBloat,
  'index-bloat': checkIndexBloat,
  'invalid-indexes': checkInvalidIndexes,
  'duplicate-indexes': checkDuplicateIndexes,
  'unused-indexes': checkUnusedIndexes,
  'foreign-keys-without-index': checkForeignKeyIndexes,
  'unvalidated-constraints': checkUnvalidatedConstraints,
  'disabled-triggers': checkDisabledTriggers,
  'tables-without-primary-key': checkPrimaryKeys,
  sequences: checkSequences,
  'trigger-drift': checkTriggerDrift,
  'pending-migrations': checkPendingMigrations,
  'last-backup': checkLastBackup,
};

/**
 * Runs every check inside `db`'s transaction. One that fails, for want of a right or of time, becomes a finding of its
 * own; the savepoint keeps the transaction usable for the others.
 */
export async function runChecks(
  db: Queryable,
  context: CheckContext,
  { onProgress, signal }: OperationControls,
): Promise<readonly Check[]> {
  const found: Check[] = [];
  const checks = Object.entries(CHECKS);
  for (const [name, check] of checks) {
    stopIfAborted(signal);
    onProgress?.({ step: `checking ${name}`, done: found.length, total: checks.length, isDetail: true });
    try {
      found.push({ name, ...(await inSavepoint(db, () => check(db, { ...context, signal }))) });
    } catch (error) {
      stopIfAborted(signal);
      found.push({ name, status: 'warning', value: null, detail: `Could not be read: ${messageOf(error)}`, fix: null });
    }
  }
  return found;
}
