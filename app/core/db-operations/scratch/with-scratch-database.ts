import { escapeIdentifier } from 'pg';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import type { Queryable } from '../../../database/queryable.js';
import { withMaintenanceConnection } from '../../../services/with-connection.js';
import { explained } from '../failure.js';
import type { DatabaseProperties } from '../manifest/manifest.js';
import { createScratchDatabase, dropDatabase, renewScratchDatabase } from './scratch-database.js';

export interface ScratchPlace {
  readonly settings: ConnectionSettings;
  readonly serverMajor: number;
  /** Of the database that it is made like. */
  readonly properties: DatabaseProperties;
}

export interface ScratchDatabase {
  readonly name: string;
  /** Makes it empty again, for another attempt. */
  readonly renew: () => Promise<void>;
}

/**
 * Gives `work` an empty scratch database that nobody else may connect to, and drops it afterwards, whatever happens.
 *
 * @param maintenance the session that owns it
 * @throws ManageDbError `PERMISSION_DENIED` for a login without CREATEDB
 * @example const tables = await withScratchDatabase(maintenance, place, (scratch) => fillScratch(scratch.name, filling));
 */
export async function withScratchDatabase<T>(
  maintenance: Queryable,
  { settings, serverMajor, properties }: ScratchPlace,
  work: (scratch: ScratchDatabase) => Promise<T>,
): Promise<T> {
  const name = await createScratchDatabase(maintenance, properties, serverMajor);
  // who may not connect to the database that it is a copy of must not read it here
  const close = () => maintenance.query(`revoke all on database ${escapeIdentifier(name)} from public`);
  const renew = async (): Promise<void> => {
    await renewScratchDatabase(maintenance, name, { properties, serverMajor });
    await close();
  };
  let result: T;
  try {
    await close();
    result = await work({ name, renew });
  } catch (error) {
    throw await afterDropping(name, settings, error);
  }
  await drop(name, settings);
  return result;
}

/** Drops a scratch database in which the work has failed by `error`. Returns what to throw: it says when it is left. */
export async function afterDropping(scratch: string, settings: ConnectionSettings, error: unknown): Promise<unknown> {
  return drop(scratch, settings).then(
    () => error,
    () => explained(error, `The scratch database ${scratch} is left; the next restore or deep verification drops it.`),
  );
}

/** On a connection of its own: the one that worked until now may be what has failed. */
function drop(scratch: string, settings: ConnectionSettings): Promise<void> {
  return withMaintenanceConnection(settings, (db) => dropDatabase(db, scratch));
}
