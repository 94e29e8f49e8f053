import { escapeIdentifier } from 'pg';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import type { Queryable } from '../../../database/queryable.js';
import { withConnection, withMaintenanceConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import { findSurprises, type Surprises } from '../database-state/check-contents.js';
import type { Manifest, TableRows } from '../manifest/manifest.js';
import { dropAbandonedScratchDatabases } from '../scratch/scratch-database.js';
import { withScratchDatabase } from '../scratch/with-scratch-database.js';
import { fillScratch } from './fill-scratch.js';

export interface DeepVerification {
  /** The server that the scratch database is made on: the one that the backup is of. */
  readonly settings: ConnectionSettings;
  readonly serverMajor: number;
  readonly folder: string;
  readonly manifest: Manifest;
  readonly controls: OperationControls;
}

export interface DeepFindings extends Surprises {
  readonly tables: readonly TableRows[];
}

/**
 * Restores a backup into a scratch database, compares what has come out with the manifest, and drops the scratch
 * database again, whatever happens. No other database is touched. Returns the tables, and what is as it was backed up and
 * may still surprise.
 *
 * @throws ManageDbError `BACKUP_INVALID` when something differs, `USAGE` for a backup that cannot be restored by itself,
 *   `PERMISSION_DENIED` for a login without CREATEDB, `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `INTERRUPTED`
 * @example const { tables } = await verifyDeep({ settings, serverMajor: 15, folder, manifest, controls: { signal } });
 */
export async function verifyDeep(verification: DeepVerification): Promise<DeepFindings> {
  const { settings, serverMajor, manifest, controls } = verification;
  refuseUnlessRestorable(manifest);
  return withMaintenanceConnection(settings, async (maintenance) => {
    await dropAbandonedScratchDatabases(maintenance);
    stopIfAborted(controls.signal);
    controls.onProgress?.({ step: 'creating a scratch database' });
    const place = { settings, serverMajor, properties: manifest.properties };
    return withScratchDatabase(maintenance, place, async ({ name: scratch, renew }) => {
      const tables = await fillScratch(scratch, { ...verification, renew });
      await giveToOwner(maintenance, scratch, manifest);
      const { environment } = manifest;
      const surprises = await withConnection(settings, { database: scratch, signal: controls.signal }, (contents) =>
        findSurprises(contents, { manifest, environment, controls }),
      );
      return { tables, ...surprises };
    });
  });
}

/** Who decides about the database is trusted with its registry; where that role is gone or strange, the login is. */
async function giveToOwner(maintenance: Queryable, scratch: string, { properties }: Manifest): Promise<void> {
  const { rows } = await maintenance.query<{ isMember: boolean }>(
    `select pg_catalog.pg_has_role(current_user, r.oid, 'member') as "isMember"
     from pg_catalog.pg_roles r where r.rolname = $1`,
    [properties.owner],
  );
  if (rows[0]?.isMember !== true) return;
  const owner = escapeIdentifier(properties.owner);
  await maintenance.query(`alter database ${escapeIdentifier(scratch)} owner to ${owner}`);
}

/** Rows alone have nothing to be put into, and a part of a database may refer to what it has not. */
function refuseUnlessRestorable({ id, environment, contents, selection }: Manifest): void {
  const isPart = [...selection.schemas, ...selection.tables].length > 0;
  if (contents !== 'data' && !isPart) return;
  const why = isPart ? 'is a part of a database' : 'has no table definitions';
  throw new ManageDbError('USAGE', `Backup ${id} ${why}: it need not be restorable by itself.`, {
    hint: `Its files can be verified: manage_db verify-backup ${id} --env ${environment}`,
  });
}
