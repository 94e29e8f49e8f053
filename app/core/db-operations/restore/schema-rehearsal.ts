import { escapeIdentifier } from 'pg';
import type { Queryable } from '../../../database/queryable.js';
import { findClientTools } from '../../../services/client-tools.js';
import { withMaintenanceConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import type { LeftOutParts } from '../backup/left-out-parts.js';
import { loadSchema } from '../backup/load.js';
import type { Manifest } from '../backup/manifest.js';
import { createScratchDatabase, dropDatabase } from '../backup/scratch-database.js';
import { explained, stopIfAborted } from '../failure.js';
import type { RestoreMethod } from './method.js';

export interface SchemaRehearsal {
  readonly target: Target;
  readonly folder: string;
  readonly manifest: Manifest;
  readonly parts: LeftOutParts;
  readonly controls: OperationControls;
}

const MOST_SHOWN = 10;

/**
 * Restores the definitions of a backup without a row into a scratch database, which is dropped again: everything that this
 * server cannot create is known at once, and before anything else has happened.
 *
 * @param maintenance the session that owns the scratch database
 * @throws ManageDbError `NOT_FOUND` with everything that cannot be created, `PERMISSION_DENIED` for a login without CREATEDB,
 *   and what finding and running the tools throws
 */
export async function rehearseSchema(
  maintenance: Queryable,
  rehearsal: SchemaRehearsal,
  method: RestoreMethod,
): Promise<void> {
  const { target, folder, manifest, parts, controls } = rehearsal;
  // a plain dump is one script: its definitions cannot be taken without its rows
  if (manifest.format === 'plain') return;
  if (method === 'transaction' && !(await mayCreateDatabases(maintenance))) return;
  const { settings } = target;
  stopIfAborted(controls.signal);
  controls.onProgress?.({ step: 'rehearsing without data' });
  const serverMajor = target.serverMajor ?? manifest.serverMajor;
  const tools = await findClientTools({ serverMajor, binDir: settings.pgBinDir });
  const scratch = await createScratchDatabase(maintenance, manifest.properties, serverMajor);
  let failures: readonly string[];
  try {
    await maintenance.query(`revoke all on database ${escapeIdentifier(scratch)} from public`);
    const { signal } = controls;
    failures = await loadSchema({
      ...{ tools, settings, serverMajor, database: scratch, folder, manifest, parts },
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    throw await dropped(scratch, target).then(
      () => error,
      () => explained(error, `The scratch database ${scratch} is left, and the next restore drops it.`),
    );
  }
  await dropped(scratch, target);
  if (failures.length > 0) throw refusal(target, manifest, failures);
}

/** Without it only the transaction itself shows what cannot be created, and takes everything back. */
async function mayCreateDatabases(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ may: boolean }>(
    'select r.rolsuper or r.rolcreatedb as may from pg_catalog.pg_roles r where r.rolname = current_user',
  );
  return rows[0]?.may === true;
}

/** On a connection of its own: the one that worked until now may be what has failed. */
function dropped(scratch: string, { settings }: Target): Promise<void> {
  return withMaintenanceConnection(settings, (db) => dropDatabase(db, scratch));
}

function refusal(
  { host, port, serverVersion }: Target,
  { id, serverVersion: was }: Manifest,
  failures: readonly string[],
): ManageDbError {
  const more = failures.length > MOST_SHOWN ? `\n- and ${failures.length - MOST_SHOWN} more` : '';
  const shown = failures.slice(0, MOST_SHOWN).map((failure) => `- ${failure}`);
  const versions = serverVersion === was ? '' : ` (PostgreSQL ${serverVersion}; the backup is of ${was})`;
  return new ManageDbError(
    'NOT_FOUND',
    `The server ${host}:${port}${versions} cannot create what is in backup ${id}:\n${shown.join('\n')}${more}\nNo row was restored.`,
    {
      hint: 'The first one is often the cause of the others: install on the server what it lacks, or restore to one that has it.',
      details: { id, failures: failures.slice(0, 100) },
    },
  );
}
