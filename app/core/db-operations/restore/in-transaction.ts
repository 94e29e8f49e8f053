import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { readLockHolders } from '../../../database/catalog/lock-holders.js';
import { readSubscriptions } from '../../../database/catalog/subscriptions.js';
import type { Queryable } from '../../../database/queryable.js';
import { findClientTools } from '../../../services/client-tools.js';
import { lockTimeoutError } from '../../../services/lock-timeout-error.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { isCommitted } from '../commit-outcome.js';
import { isOfSearchPath, searchPathOf, underSearchPath } from '../database-state/search-path.js';
import { countTableRows } from '../database-state/table-rows.js';
import { changedMeanwhile } from '../dropping/drop-plan.js';
import { type TableRows, usersTables } from '../manifest/manifest.js';
import { planDropping } from './in-transaction/dropping.js';
import { execute, type Failure } from './in-transaction/execute.js';
import { type TransactionRestore, UNCHANGED } from './in-transaction/request.js';
import { LOCK_TIMEOUT_MS, NOT_AS_BACKED_UP } from './in-transaction/script.js';
import { tooManyObjects } from './too-many-objects.js';

/**
 * Restores a backup inside the live database, in one transaction: everything of the users is dropped, the archive is
 * loaded, and the rows are counted; only if they are those of the manifest is it committed. Whatever fails or dies before
 * that, nothing has happened. What is kept: what manage_db knows about the database itself, extensions, and subscriptions.
 *
 * Readers wait from the first DROP to the end. Returns the tables.
 *
 * @throws ManageDbError `USAGE` for a plain dump, `PERMISSION_DENIED` naming what belongs to others, `LOCK_TIMEOUT`,
 *   `DATABASE_IN_USE` when objects were made or dropped meanwhile, `BACKUP_INVALID` when the counts differ, `CLIENT_TOOL_FAILED`, `INTERRUPTED`; UnknownOutcome
 */
export async function restoreInTransaction(restore: TransactionRestore): Promise<TableRows[]> {
  const { target, manifest, serverMajor, controls, onCommitted } = restore;
  if (manifest.format === 'plain') {
    throw new ManageDbError(
      'USAGE',
      `${manifest.id} is a plain dump, which cannot be restored inside ${target.database}.`,
      {
        hint: 'Choose a backup of another format, or give the login CREATEDB and restore by --method swap.',
      },
    );
  }
  const tools = await findClientTools({ serverMajor, binDir: target.settings.pgBinDir });
  const { settings } = target;
  const plan = await withConnection(settings, { signal: controls.signal }, (db) => planDropping(db, restore));
  controls.onProgress?.({ step: 'restoring in one transaction' });
  const searchPath = searchPathOf(manifest.properties);
  let { xid, failure } = await execute(restore, { tools, plan, searchPath: null });
  if (failure !== null && isOfSearchPath(failure.error) && !(await wasCommitted(settings, xid))) {
    controls.onProgress?.({ step: `restoring again, under the search_path ${searchPath} that its functions rely on` });
    ({ xid, failure } = await execute(restore, { tools, plan, searchPath }));
  }
  if (failure !== null && !(await wasCommitted(settings, xid))) throw await named(failure, restore);
  onCommitted();
  return withConnection(settings, { signal: controls.signal }, async (db) => {
    controls.onProgress?.({ step: 'analyzing' });
    await underSearchPath(db, searchPath, () => db.query('analyze'));
    return usersTables(await countTableRows(db, { ...controls, searchPath }));
  });
}

/** What a lock or a DROP fails with when somebody was faster; psql says no SQLSTATE. */
const NOT_AS_PLANNED =
  /ERROR: +(?:(?:relation|schema) ".*" does not exist|cannot drop .* because other objects depend on it|tuple concurrently (?:updated|deleted))/;

async function wasCommitted(settings: ConnectionSettings, xid: string | null): Promise<boolean> {
  if (xid === null) return false;
  return isCommitted({ xid, what: 'the restore', anew: (work) => withConnection(settings, {}, work) });
}

/** What psql said, under the name that it has elsewhere. */
async function named({ error, isDropped }: Failure, { target, manifest }: TransactionRestore): Promise<unknown> {
  const text = error instanceof ManageDbError ? `${error.message}\n${String(error.details.stderr ?? '')}` : '';
  const differences = new RegExp(`${NOT_AS_BACKED_UP}(.*)`).exec(text)?.[1];
  if (differences !== undefined) {
    return new ManageDbError(
      'BACKUP_INVALID',
      `What was restored from ${manifest.id} is not what was backed up: ${differences}.`,
      {
        hint: 'Choose another backup: manage_db list-all-backups',
        details: { id: manifest.id },
        cause: error,
      },
    );
  }
  const { settings } = target;
  if (/out of shared memory/.test(text)) return tooManyObjects(settings, error);
  if (!isDropped && NOT_AS_PLANNED.test(text)) return changedMeanwhile(target, UNCHANGED, error);
  if (!/canceling statement due to lock timeout/.test(text)) return error;
  const holders = await withConnection(settings, {}, (db) => readLockHolders(db)).catch(() => []);
  return lockTimeoutError({
    wanted: `the tables of ${target.database}`,
    waitedMs: LOCK_TIMEOUT_MS,
    holders,
    unchanged: UNCHANGED,
    cause: error,
  });
}

/** What has to be told to subscriptions, which only know the tables that were there before. */
export async function readSubscriptionsToRefresh(db: Queryable): Promise<string[]> {
  return (await readSubscriptions(db)).map(
    (name) =>
      `The subscription ${name} does not fill the new tables yet: alter subscription ${name} refresh publication with (copy_data = false);`,
  );
}
