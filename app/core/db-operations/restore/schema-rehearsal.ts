import { mayCreateDatabases } from '../../../database/catalog/create-right.js';
import type { Queryable } from '../../../database/queryable.js';
import { findClientTools } from '../../../services/client-tools.js';
import { ManageDbError } from '../../errors.js';
import { dashed } from '../../listed.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import type { FailedObject } from '../backup/dump/failed-objects.js';
import { loadSchema } from '../backup/dump/load.js';
import type { LeftOutParts } from '../backup/left-out-parts.js';
import { isAboutSearchPath, searchPathOf } from '../database-state/search-path.js';
import type { Manifest } from '../manifest/manifest.js';
import { withScratchDatabase } from '../scratch/with-scratch-database.js';
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
 * server cannot create is known at once, and before anything else has happened. What fails only under the empty search_path of
 * dumps is no failure: the restore itself tries again under that of the database, too.
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
  const place = { settings, serverMajor, properties: manifest.properties };
  const failures = await withScratchDatabase(maintenance, place, async ({ name, renew }) => {
    const { signal } = controls;
    const load = {
      ...{ tools, settings, serverMajor, database: name, folder, manifest, parts },
      ...(signal === undefined ? {} : { signal }),
    };
    const failed = await loadSchema(load);
    if (!failed.some(({ said }) => isAboutSearchPath(said))) return failed;
    const searchPath = searchPathOf(manifest.properties);
    controls.onProgress?.({ step: `rehearsing again, under the search_path ${searchPath} that its functions rely on` });
    await renew();
    return loadSchema({ ...load, searchPath });
  });
  if (failures.length > 0) throw refusal(target, manifest, failures);
}

function refusal(
  { host, port, serverVersion }: Target,
  { id, serverVersion: was }: Manifest,
  failed: readonly FailedObject[],
): ManageDbError {
  const failures = failed.map(({ object, error }) => (object === '' ? error : `${object}: ${error}`));
  const versions = serverVersion === was ? '' : ` (PostgreSQL ${serverVersion}; the backup is of ${was})`;
  return new ManageDbError(
    'NOT_FOUND',
    `The server ${host}:${port}${versions} cannot create what is in backup ${id}:\n${dashed(failures, MOST_SHOWN)}\nNo row was restored.`,
    {
      hint: 'The first one is often the cause of the others: install on the server what it lacks, or restore to one that has it. Without roles: restore --without owners --without grants.',
      details: { id, failures: failures.slice(0, 100) },
    },
  );
}
