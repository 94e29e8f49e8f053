import { basename } from 'node:path';
import { getWorkspace } from '../../../../config/workspace.js';
import type { Queryable } from '../../../../database/queryable.js';
import { listed, ok, type RunCheck } from '../check.js';

export const checkPendingMigrations: RunCheck = async (db, { environment }) => {
  // Loaded here: parsing migrations is no business of drop-all-tables, which is in the same module.
  const { readMigrations } = await import('../../migration/migration-files.js');
  const migrations = readMigrations((await getWorkspace()).migrationsDir) ?? [];
  if (migrations.length === 0) return ok(0, 'The workspace has no migrations.');
  const applied = await appliedVersions(db);
  const pending = migrations.filter(({ version }) => !applied.has(version));
  if (pending.length === 0) return ok(0, `All ${migrations.length} migrations of the workspace are applied.`);
  return {
    status: 'warning',
    value: pending.length,
    detail: `Not applied yet: ${listed(pending.map(({ path }) => basename(path)))}.`,
    fix: `manage_db initialize-db --env ${environment}`,
  };
};

async function appliedVersions(db: Queryable): Promise<ReadonlySet<string>> {
  const { rows } = await db.query<{ present: boolean }>(
    `select pg_catalog.to_regclass('manage_db.migrations') is not null as present`,
  );
  if (!rows[0]?.present) return new Set();
  const applied = await db.query<{ version: string }>('select version from manage_db.migrations');
  return new Set(applied.rows.map(({ version }) => version));
}
