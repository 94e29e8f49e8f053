import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { switchConstraintTriggers } from '../../../database/catalog/constraint-trigger-modes.js';
import { grantAccess } from '../../../database/records/access-roles.js';
import { findClientTools } from '../../../services/client-tools.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { shortened } from '../../listed.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import { isOfSearchPath, searchPathOf, underSearchPath } from '../database-state/search-path.js';
import { countTableRows, listTablesWithoutRows } from '../database-state/table-rows.js';
import { withoutEventTriggers } from '../database-state/without-triggers.js';
import { defaultJobs } from '../default-jobs.js';
import type { Manifest, TableRows } from '../manifest/manifest.js';
import { JobsDeadlocked, type LoadRequest, loadDump } from './dump/load.js';
import { type LeftOutParts, NOTHING_LEFT_OUT } from './left-out-parts.js';

export interface ScratchFilling {
  readonly settings: ConnectionSettings;
  readonly serverMajor: number;
  readonly folder: string;
  readonly manifest: Manifest;
  /** Nothing by default. */
  readonly parts?: LeftOutParts;
  readonly controls: OperationControls;
  /** Makes the scratch database empty again, for another attempt. */
  readonly renew: () => Promise<void>;
}

/**
 * Loads a backup into the empty database `scratch`, compares every table's number of rows, and its content where the
 * manifest has a checksum of it, with the manifest, and analyzes it. Grants in the schema manage_db are made anew, for the roles of the database that it is to become. Returns
 * the tables.
 *
 * @throws ManageDbError `BACKUP_INVALID` when the counts differ, and what finding and running the tools throws
 */
export async function fillScratch(scratch: string, filling: ScratchFilling): Promise<TableRows[]> {
  const { settings, serverMajor, folder, manifest, parts = NOTHING_LEFT_OUT, controls, renew } = filling;
  const tools = await findClientTools({ serverMajor, binDir: settings.pgBinDir });
  const jobs = defaultJobs();
  const load = { ...controls, tools, settings, serverMajor, database: scratch, folder, manifest, jobs, parts };
  const searchPath = searchPathOf(manifest.properties);
  await loadPatiently(load, { searchPath, renew });
  return withConnection(settings, { database: scratch, signal: controls.signal }, async (client) => {
    const { constraintTriggers = [] } = manifest;
    if (constraintTriggers.length > 0) await client.query(switchConstraintTriggers(constraintTriggers));
    const withChecksums = manifest.tables.some(({ checksum }) => checksum !== null);
    controls.onProgress?.({ step: withChecksums ? 'comparing contents' : 'comparing row counts' });
    // a table of which policies hide rows is an error, not a table with fewer rows
    await client.query('set row_security = off');
    const tables = await (manifest.contents === 'schema'
      ? listTablesWithoutRows(client)
      : countTableRows(client, { ...controls, withChecksums, searchPath }));
    refuseDifferences(manifest, tables);
    await withoutEventTriggers(client, () => grantAccess(client, settings.database));
    stopIfAborted(controls.signal);
    controls.onProgress?.({ step: 'analyzing' });
    await underSearchPath(client, searchPath, () => client.query('analyze'));
    return tables;
  });
}

interface Again {
  /** Of those who worked with the database. */
  readonly searchPath: string;
  readonly renew: () => Promise<void>;
}

/** Loads it, and once more in another way where that way alone was at fault. */
async function loadPatiently(load: LoadRequest, { searchPath, renew }: Again): Promise<void> {
  let attempt = load;
  for (;;) {
    try {
      return await loadDump(attempt);
    } catch (error) {
      if (isOfSearchPath(error) && attempt.searchPath === undefined) {
        load.onProgress?.({ step: `restoring again, under the search_path ${searchPath} that its functions rely on` });
        attempt = { ...attempt, searchPath };
      } else if (error instanceof JobsDeadlocked && attempt.jobs > 1) {
        load.onProgress?.({ step: 'restoring again, with one job: several ended in a deadlock' });
        attempt = { ...attempt, jobs: 1 };
      } else {
        throw error;
      }
      await renew();
    }
  }
}

function refuseDifferences(manifest: Manifest, tables: readonly TableRows[]): void {
  const key = ({ schema, name }: TableRows) => JSON.stringify([schema, name]);
  const restored = new Map(tables.map((table) => [key(table), table]));
  const expected = new Set(manifest.tables.map(key));
  const differences = [
    ...manifest.tables.flatMap((table) => {
      const difference = differenceOf(restored.get(key(table)), withItsRows(table, manifest));
      return difference === null ? [] : [`${table.schema}.${table.name} ${difference}`];
    }),
    ...tables
      .filter((table) => !expected.has(key(table)))
      .map(({ schema, name }) => `${schema}.${name} was not in the backup`),
  ];
  if (differences.length === 0) return;
  throw new ManageDbError(
    'BACKUP_INVALID',
    `What was restored from ${manifest.id} is not what was backed up: ${shortened(differences, 5).join('; ')}.`,
    {
      hint: 'Choose another backup: manage_db list-all-backups',
      details: { id: manifest.id, differences: differences.slice(0, 100) },
    },
  );
}

/** A table whose rows were left out comes back without any. */
function withItsRows(table: TableRows, { contents }: Manifest): TableRows {
  return contents === 'schema' ? table : { ...table, rows: table.rows ?? 0 };
}

function differenceOf(restored: TableRows | undefined, expected: TableRows): string | null {
  if (restored?.rows !== expected.rows)
    return `has ${described(restored?.rows)} instead of ${described(expected.rows)}`;
  if (expected.checksum === null || restored.checksum === expected.checksum) return null;
  return `has as many rows as it had (${expected.rows}), with other contents`;
}

function described(rows: number | null | undefined): string {
  if (rows === undefined) return 'no such table';
  return rows === null ? 'a table' : `${rows} ${rows === 1 ? 'row' : 'rows'}`;
}
