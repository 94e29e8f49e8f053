import type pg from 'pg';
import { type BackupOptions, type BackupResult, backupDatabase } from '../../app/core/db-operations/backup.js';
import { listBackups } from '../../app/core/db-operations/list-backups.js';
import { type RestoreOptions, type RestoreResult, restoreDatabase } from '../../app/core/db-operations/restore.js';
import type { ManageDbError } from '../../app/core/errors.js';
import { failureOf } from './failure-of.js';
import { type TestingDatabase, testingDatabase } from './testing-database.js';

/** A database of which tables are restored in place. */
export interface RestoresInPlace extends TestingDatabase {
  readonly rows: (sql: string) => Promise<pg.QueryResult['rows']>;
  /** @param table also with a condition behind it */
  readonly count: (table: string) => Promise<number>;
  readonly backup: (options?: BackupOptions) => Promise<BackupResult>;
  readonly backups: () => ReturnType<typeof listBackups>;
  /** Of the latest backup. */
  readonly restore: (options: Partial<RestoreOptions>) => Promise<RestoreResult>;
  /** The error of a restore, which is expected to fail. */
  readonly failing: (options: Partial<RestoreOptions>) => Promise<ManageDbError>;
}

/** @param sql what is in the database */
export async function restoresInPlace(sql: string): Promise<RestoresInPlace> {
  const testing = await testingDatabase(sql);
  const { client, workspace } = testing;
  const rows: RestoresInPlace['rows'] = async (query) => (await client.query(query)).rows;
  const restore: RestoresInPlace['restore'] = (options) =>
    workspace.run(() =>
      restoreDatabase({ env: 'testing', id: 'latest', inPlace: true, consent: { yes: true }, ...options }),
    );
  return {
    ...testing,
    ...{ rows, restore },
    count: async (table) => (await rows(`select count(*)::integer as n from ${table}`))[0].n,
    backup: (options = {}) => workspace.run(() => backupDatabase({ env: 'testing', ...options })),
    backups: () => workspace.run(() => listBackups({ env: 'testing' })),
    failing: (options) => failureOf(restore(options)),
  };
}
