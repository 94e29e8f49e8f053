import { type Client, escapeIdentifier } from 'pg';
import type { Queryable } from '../../../database/queryable.js';
import { withConnection } from '../../../services/with-connection.js';
import { commentStatement, propertyStatements } from '../backup/database-properties.js';
import { fillScratch } from '../backup/fill-scratch.js';
import { withoutParts } from '../backup/left-out-parts.js';
import { type Manifest, usersTables } from '../backup/manifest.js';
import { createScratchDatabase, renewScratchDatabase, SCRATCH_COMMENT } from '../backup/scratch-database.js';
import { afterDropping } from '../backup/with-scratch-database.js';
import { UnknownOutcome } from '../commit-outcome.js';
import { stopIfAborted } from '../failure.js';
import { checkContents } from './check-contents.js';
import { keepRecords } from './keep-records.js';
import { begin } from './live-database.js';
import { ownComment } from './previous-database.js';
import { putInPlace } from './put-in-place.js';
import { refuseOtherStamp } from './stamp-of-contents.js';
import type { Replaced, WholeRestore } from './whole-restore.js';

/**
 * Restores a backup into a scratch database, and puts that in the place of the live one.
 *
 * @param maintenance a session on another database of the server
 * @throws UnknownOutcome; ManageDbError `DATABASE_IN_USE`, `BACKUP_INVALID`, `STAMP_MISMATCH`, `KILL_SWITCH`, `INTERRUPTED`, and
 *   what filling and swapping throw
 */
export async function restoreBySwap(
  maintenance: Client,
  maintenanceDatabase: string,
  restore: WholeRestore,
): Promise<Replaced> {
  const { target, folder, manifest, source, parts, reason, controls, disconnectUsers, keepMs, missingRoles } = restore;
  const live = await begin(maintenance, { target, disconnectUsers });
  stopIfAborted(controls.signal);
  controls.onProgress?.({ step: 'creating a scratch database' });
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  const scratch = await createScratchDatabase(maintenance, manifest.properties, serverMajor);
  try {
    const restricted = (live ?? manifest.properties).grants !== null;
    // who may not connect to the live one must not read it here, while it is loaded
    // from the live one: grants and settings may have changed since the backup, and a restore is of the contents
    const own = { login: target.user, missing: missingRoles };
    const properties = live ?? withoutParts(manifest.properties, parts, own);
    const prepare = async (): Promise<void> => {
      if (restricted) await maintenance.query(`revoke all on database ${escapeIdentifier(scratch)} from public`);
      // who has rights by owning the database has them already when its contents are looked at
      const owner = escapeIdentifier(properties.owner);
      await maintenance.query(`alter database ${escapeIdentifier(scratch)} owner to ${owner}`);
    };
    await prepare();
    const renew = async (): Promise<void> => {
      await renewScratchDatabase(maintenance, scratch, { properties: manifest.properties, serverMajor });
      await prepare();
    };
    const filling = { settings: target.settings, serverMajor, folder, manifest, parts, controls, renew };
    const tables = await fillScratch(scratch, filling);
    const look = { database: scratch, signal: controls.signal };
    const warnings = await withConnection(target.settings, look, async (contents) => {
      await refuseOtherStamp(contents, manifest);
      return checkContents(contents, { manifest, environment: target.environment, controls });
    });
    await applyProperties(maintenance, scratch, properties);
    await keepRecords(scratch, {
      target,
      hasLive: live !== null,
      backup: manifest.id,
      isSameEnvironment: manifest.environment === target.environment,
      source: manifest.environment === target.environment ? null : source,
      reason,
      signal: controls.signal,
    });
    const placed = await putInPlace(maintenance, maintenanceDatabase, {
      target,
      candidate: scratch,
      live,
      statements: [commentStatement(target.database, ownComment(properties.comment))],
      disconnectUsers,
      keepMs,
      controls,
      onSwapped: () => restore.onReplaced(`${target.database} is restored.`),
    });
    return { ...placed, safetyBackup: null, tables: usersTables(tables), warnings };
  } catch (error) {
    if (error instanceof UnknownOutcome) throw error;
    throw await afterDropping(scratch, target.settings, error);
  }
}

/** All but the comment, which comes with the name: by its own a scratch database is recognized. */
async function applyProperties(db: Queryable, scratch: string, properties: Manifest['properties']): Promise<void> {
  // what it was only set to while it was filled: synchronous_commit, and perhaps a search_path
  await db.query(`alter database ${escapeIdentifier(scratch)} reset all`);
  for (const statement of propertyStatements(scratch, { ...properties, comment: SCRATCH_COMMENT }))
    await db.query(statement);
}
