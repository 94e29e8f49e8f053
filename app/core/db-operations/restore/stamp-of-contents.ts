import { join } from 'node:path';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import type { Queryable } from '../../../database/queryable.js';
import { readStamp } from '../../../database/records/identity.js';
import { findClientTools, runOffline } from '../../../services/client-tools.js';
import { ManageDbError } from '../../errors.js';
import { DUMP_NAMES } from '../backup/dump/dump.js';
import type { Manifest } from '../manifest/manifest.js';

/** What a database said that it was. */
type Says = NonNullable<Manifest['stamp']>;

/**
 * Refuses restored contents that were stamped otherwise than their manifest says: it decides what they may be restored to.
 *
 * @param contents a connection to the restored database
 * @throws ManageDbError `BACKUP_INVALID`
 */
export async function refuseOtherStamp(contents: Queryable, manifest: Manifest): Promise<void> {
  const { rows } = await contents.query<{ present: boolean }>(
    `select pg_catalog.to_regclass('manage_db.identity') is not null as present`,
  );
  if (rows[0]?.present === true) compare(manifest, await readStamp(contents));
}

export interface ArchivedContents {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly settings: ConnectionSettings;
  readonly serverMajor: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * As {@link refuseOtherStamp}, of an archive that nobody has restored yet.
 *
 * @throws ManageDbError `BACKUP_INVALID`, `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `INTERRUPTED`
 */
export async function refuseOtherArchivedStamp(archive: ArchivedContents): Promise<void> {
  const { folder, manifest, settings, serverMajor, signal } = archive;
  const { pgRestore } = await findClientTools({ serverMajor, binDir: settings.pgBinDir });
  const path = join(folder, DUMP_NAMES[manifest.format]);
  const args = ['--data-only', '--schema=manage_db', '--table=identity', '--file=-', path];
  const { stdout } = await runOffline(pgRestore, args, { environment: manifest.environment, signal });
  compare(manifest, archivedStamp(stdout));
}

/** The one row of the table, in COPY's text format; an environment's name has nothing in it that would be escaped. */
function archivedStamp(sql: string): Says | null {
  const [, list = '', row = ''] = /^COPY manage_db\.identity \(([^)]*)\) FROM stdin;\n(.*)$/m.exec(sql) ?? [];
  const columns = list.split(', ');
  const values = row.split('\t');
  if (values.length !== columns.length || list === '') return null;
  const inColumn = (column: string) => values[columns.indexOf(column)];
  return { environment: inColumn('environment') ?? '', protected: inColumn('protected') === 't' };
}

/** A backup without rows, and one of tables, has none. */
function compare({ id, stamp }: Manifest, says: Says | null): void {
  if (says === null || (stamp?.environment === says.environment && stamp.protected === says.protected)) return;
  throw new ManageDbError(
    'BACKUP_INVALID',
    `The manifest of backup ${id} says that its database was ${described(stamp)}, and its contents say ${described(says)}.`,
    {
      hint: 'Somebody has changed the manifest: choose another backup.',
      details: { id, manifest: stamp, contents: says },
    },
  );
}

function described(stamp: Says | null): string {
  return stamp === null ? 'not stamped' : `stamped ${stamp.environment}${stamp.protected ? ', protected' : ''}`;
}
