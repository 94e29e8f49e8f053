import { ManageDbError } from '../../app/core/errors.js';
import { nearest } from '../../app/core/nearest.js';
import { testBackupRestore } from './categories/backup-restore.js';
import { testConfiguration } from './categories/configuration.js';
import { testConnection } from './categories/connection.js';
import { testDatabaseCopy } from './categories/copy.js';
import { testSwitchEnv } from './categories/environment.js';
import { testInspectDb } from './categories/inspection.js';
import { testMaintenance } from './categories/maintenance.js';
import { testMigration } from './categories/migration.js';
import { testSafety } from './categories/safety.js';
import { testTriggerManagement } from './categories/triggers.js';
import type { Suite } from './feature-test.js';

export interface Category {
  readonly name: string;
  readonly summary: string;
  readonly declare: (suite: Suite) => void;
  /** Its features start pg_dump, pg_restore or psql. */
  readonly needsClientTools?: boolean;
}

/** In the order in which they are run: what the others need comes first. */
export const CATEGORIES: readonly Category[] = [
  {
    name: 'configuration',
    summary: 'every .env file and every environment; where values come from, and what is refused',
    declare: testConfiguration,
  },
  {
    name: 'environment',
    summary: 'which environment is active; switching, also in the middle of an operation',
    declare: testSwitchEnv,
    needsClientTools: true,
  },
  {
    name: 'connection',
    summary: 'the server, its version, the client tools; sessions that commit, roll back and only read',
    declare: testConnection,
  },
  { name: 'inspection', summary: 'tables, triggers and functions as they are', declare: testInspectDb },
  {
    name: 'backup-restore',
    summary: 'the newest backup; backing up, damage that is found, and the way back',
    declare: testBackupRestore,
    needsClientTools: true,
  },
  {
    name: 'copy',
    summary: 'from one environment into another, compared, and where that is refused',
    declare: testDatabaseCopy,
    needsClientTools: true,
  },
  {
    name: 'migration',
    summary: 'the history of the database; applying, refusing what was edited, rolling back',
    declare: testMigration,
    needsClientTools: true,
  },
  {
    name: 'triggers',
    summary: 'triggers as declared and installed; applying, drift that is found, healing',
    declare: testTriggerManagement,
  },
  {
    name: 'maintenance',
    summary: "the database's health; resetting, dropping, initializing",
    declare: testMaintenance,
    needsClientTools: true,
  },
  {
    name: 'safety',
    summary: 'the stamp and the operation log; the ceremony, the kill switch, and databases under a false name',
    declare: testSafety,
  },
];

/**
 * The categories of these names; all of them where there are none.
 *
 * @throws ManageDbError `USAGE`
 */
export function chooseCategories(names: readonly string[]): readonly Category[] {
  const known = CATEGORIES.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined)
    return names.length === 0 ? CATEGORIES : CATEGORIES.filter(({ name }) => names.includes(name));
  const meant = nearest(unknown, known);
  throw new ManageDbError('USAGE', `There is no category ${JSON.stringify(unknown)}.`, {
    hint:
      meant === null
        ? `There are: ${known.join(', ')}.`
        : `Did you mean: manage_db test-db-features --category ${meant}`,
    details: { category: unknown, known },
  });
}
