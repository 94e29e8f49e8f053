import type { Client } from 'pg';
import { withConnection } from '../../../services/with-connection.js';
import { fillScratch } from '../backup/fill-scratch.js';
import { withoutParts } from '../backup/left-out-parts.js';
import { checkContents } from '../database-state/check-contents.js';
import { usersTables } from '../manifest/manifest.js';
import { createScratchDatabase, renewScratchDatabase } from '../scratch/scratch-database.js';
import { replaceBySwap } from './replace-by-swap.js';
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
  const { settings, environment, user } = target;
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  const isSameEnvironment = manifest.environment === environment;
  const replaced = await replaceBySwap(maintenance, maintenanceDatabase, {
    ...{ work: 'the restore', target, disconnectUsers, keepMs, reason, controls, properties: manifest.properties },
    propertiesAnew: withoutParts(manifest.properties, parts, { login: user, missing: missingRoles }),
    create: (db, tablespace) => createScratchDatabase(db, manifest.properties, serverMajor, tablespace),
    fill: async (scratch, db, close) => {
      const renew = async (): Promise<void> => {
        await renewScratchDatabase(db, scratch, { properties: manifest.properties, serverMajor });
        await close();
      };
      const filling = { settings, serverMajor, folder, manifest, parts, controls, renew };
      return fillScratch(scratch, filling);
    },
    finish: async (scratch, _, tables) => {
      const look = { database: scratch, signal: controls.signal };
      const warnings = await withConnection(settings, look, async (contents) => {
        await refuseOtherStamp(contents, manifest);
        return checkContents(contents, { manifest, environment, controls });
      });
      return { tables: usersTables(tables), warnings };
    },
    records: () => ({
      arrival: { became: 'restored', backup: manifest.id },
      isSameEnvironment,
      source: isSameEnvironment ? null : source,
    }),
    onReplaced: () => restore.onReplaced(`${target.database} is restored.`),
  });
  return { ...replaced, safetyBackup: null };
}
