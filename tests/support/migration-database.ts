import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionSettings } from '../../app/config/connection-settings.js';
import { type Migration, readMigrations } from '../../app/core/db-operations/migration/migration-files.js';
import { type RanMigration, type RunOptions, runSteps } from '../../app/core/db-operations/migration/runner.js';
import { type ScratchDatabase, scratchDatabase } from './scratch-database.js';
import { settingsOf } from './settings-of.js';

/** A database and a folder of migrations. */
export interface MigrationDatabase extends ScratchDatabase {
  readonly settings: ConnectionSettings;
  readonly folder: string;
  /** Replaces the files by these; returns the migrations. */
  readonly write: (files: Readonly<Record<string, string>>) => Promise<Migration[]>;
  /** Runs all that is in the folder, in this direction. */
  readonly run: (direction: 'up' | 'down', options?: RunOptions) => Promise<RanMigration[]>;
  /** The versions that are recorded. */
  readonly applied: () => Promise<string[]>;
  /** Of the journal: version, position, state. */
  readonly journal: () => Promise<string[]>;
  readonly remove: () => Promise<void>;
}

/** @param files by name */
export async function migrationDatabase(files: Readonly<Record<string, string>> = {}): Promise<MigrationDatabase> {
  const database = await scratchDatabase();
  const settings = await settingsOf(database.url);
  const folder = mkdtempSync(join(tmpdir(), 'manage-db-migrations-'));
  const write = async (given: Readonly<Record<string, string>>): Promise<Migration[]> => {
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    return read(given);
  };
  const read = async (given: Readonly<Record<string, string>>): Promise<Migration[]> => {
    for (const [name, text] of Object.entries(given)) writeFileSync(join(folder, name), text);
    return (await readMigrations(folder)) ?? [];
  };
  await read(files);
  return {
    ...database,
    settings,
    folder,
    write,
    async run(direction, options) {
      const migrations = (await readMigrations(folder)) ?? [];
      const ordered = direction === 'up' ? migrations : migrations.reverse();
      const steps = ordered.map((migration) => ({ migration, direction }));
      return runSteps(settings, steps, options);
    },
    async applied() {
      const { rows } = await database.query<{ version: string }>(
        'select version from manage_db.migrations order by length(version), version',
      );
      return rows.map(({ version }) => version);
    },
    async journal() {
      const { rows } = await database.query<{ entry: string }>(
        `select concat_ws(' ', version, direction, position, state) as entry from manage_db.migration_journal order by version, position`,
      );
      return rows.map(({ entry }) => entry);
    },
    async remove() {
      rmSync(folder, { recursive: true, force: true });
      await database.drop();
    },
  };
}
