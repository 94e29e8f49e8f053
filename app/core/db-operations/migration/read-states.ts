import type { Queryable } from '../../../database/queryable.js';
import { readHistory } from './history.js';
import type { Migration } from './migration-files.js';
import { judgeMigrations, type MigrationStatus } from './states.js';

/** Where each of `files`, and each migration that is recorded, stands in the database of `db`; by version. */
export async function readStates(db: Queryable, files: readonly Migration[]): Promise<readonly MigrationStatus[]> {
  return judgeMigrations(files, await readHistory(db));
}
