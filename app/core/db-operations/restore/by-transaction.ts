import type { Client } from 'pg';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { stopIfAborted } from '../../progress.js';
import { refuseIfChanged } from '../../safety/still-allowed.js';
import { NOTHING_LEFT_OUT } from '../backup/left-out-parts.js';
import { SafetyBackup } from '../backup/safety-backup.js';
import { UnknownOutcome } from '../commit-outcome.js';
import { checkContents } from '../database-state/check-contents.js';
import { endSessionsOf, refuseIfInUse } from '../database-state/sessions.js';
import { type StillAlone, whileOthersAreKeptOut } from '../scratch/keep-others-out.js';
import { dropAbandonedScratchDatabases } from '../scratch/scratch-database.js';
import { readSubscriptionsToRefresh, restoreInTransaction } from './in-transaction.js';
import { raisedStamp } from './other-environment.js';
import { refuseOtherArchivedStamp } from './stamp-of-contents.js';
import type { Replaced, WholeRestore } from './whole-restore.js';

/**
 * Restores a backup inside the live database, which is backed up first.
 *
 * @param maintenance a session on another database of the server
 * @throws UnknownOutcome; ManageDbError `USAGE`, `DATABASE_IN_USE`, `STAMP_MISMATCH`, `KILL_SWITCH`, and what restoring throws
 */
export async function restoreByTransaction(maintenance: Client, restore: WholeRestore): Promise<Replaced> {
  const { target, folder, manifest, controls } = restore;
  if (JSON.stringify(restore.parts) !== JSON.stringify(NOTHING_LEFT_OUT)) {
    throw new ManageDbError('USAGE', 'What the server lacks can be left out by a swap only. Nothing was changed.', {
      hint: 'Leave out --without, or restore by --method swap.',
    });
  }
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  const { settings } = target;
  if (manifest.format !== 'plain') {
    await refuseOtherArchivedStamp({ folder, manifest, settings, serverMajor, signal: controls.signal });
  }
  const safety = await SafetyBackup.prepare(target, { ...manifest, label: 'before a restore' }, controls);
  return whileOthersAreKeptOut(target, null, (stillAlone) =>
    replaceAlone(maintenance, restore, { safety, stillAlone }),
  );
}

/** With nobody else who restores, copies, drops or resets it. */
async function replaceAlone(
  maintenance: Client,
  restore: WholeRestore,
  { safety, stillAlone }: { readonly safety: SafetyBackup; readonly stillAlone: StillAlone },
): Promise<Replaced> {
  const { target, folder, manifest, controls, disconnectUsers, onReplaced } = restore;
  await dropAbandonedScratchDatabases(maintenance);
  if (disconnectUsers) await endSessionsOf(maintenance, target.database);
  else await refuseIfInUse(maintenance, target.database);
  const stillAllowed = async () => {
    await stillAlone();
    await withConnection(target.settings, {}, (present) => refuseIfChanged(present, target));
  };
  await stillAllowed();
  await withConnection(target.settings, {}, async (present) => {
    // the backup's records of what is in it have to fit into it
    await ensureSchema(present);
  });
  let isCommitted = false;
  try {
    const tables = await restoreInTransaction({
      ...{ target, folder, manifest, controls },
      serverMajor: target.serverMajor ?? manifest.serverMajor,
      stamp: await raisedStamp(restore),
      backUp: async (signal) => {
        await safety.make({ signal });
        stopIfAborted(signal);
        await stillAllowed();
      },
      beforeCommit: stillAllowed,
      onCommitted: () => {
        isCommitted = true;
        onReplaced(`${target.database} is restored; what it was is backup ${safety.id}.`);
      },
    });
    return {
      ...{ previousDatabase: null, previousUntil: null, safetyBackup: safety.id, tables },
      warnings: [...safety.warnings, ...(await lookAround(restore))],
    };
  } catch (error) {
    if (error instanceof UnknownOutcome) throw error.saying(`What ${target.database} was is backup ${safety.id}.`);
    throw isCommitted ? error : await safety.discard(error);
  }
}

function lookAround({ target, manifest, controls }: WholeRestore): Promise<string[]> {
  const check = { manifest, environment: target.environment, controls };
  return withConnection(target.settings, {}, async (contents) => [
    ...(await readSubscriptionsToRefresh(contents)),
    ...(await checkContents(contents, check).catch(committedAnyway)),
  ]);
}

/** What is found only when it is committed is no failure any more. */
function committedAnyway(error: unknown): string[] {
  if (error instanceof ManageDbError && error.code === 'BACKUP_INVALID') return [error.message];
  throw error;
}
