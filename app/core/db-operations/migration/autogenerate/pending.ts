import { basename } from 'node:path';
import type { Queryable } from '../../../../database/queryable.js';
import { ManageDbError } from '../../../errors.js';
import { listed } from '../../../listed.js';
import type { Target } from '../../../safety/gate.js';
import { readHistory } from '../history.js';
import type { Migration } from '../migration-files.js';
import { judgeMigrations, type MigrationState } from '../states.js';

/**
 * Refuses migrations that the live database does not have: they are replayed, so the difference would take them back. Returns what
 * else makes it another difference than somebody might expect, in sentences.
 *
 * @throws ManageDbError `USAGE`
 */
export async function refusePending(
  db: Queryable,
  { environment, database }: Target,
  { migrations, allowPending }: { readonly migrations: readonly Migration[]; readonly allowPending: boolean },
): Promise<string[]> {
  const statuses = judgeMigrations(migrations, await readHistory(db));
  const named = (...states: readonly MigrationState[]) =>
    statuses
      .filter(({ state }) => states.includes(state))
      .map(({ migration, version, name }) => (migration === null ? `${version}_${name}` : basename(migration.path)));
  const pending = named('pending', 'out_of_order');
  if (pending.length > 0 && !allowPending) {
    throw new ManageDbError(
      'USAGE',
      `${database} (${environment}) has not applied ${listed(pending)}: a migration that leads to what it is now would take that back.`,
      {
        hint: `Apply them first: manage_db apply-db-migration --env ${environment}. If it is meant: --allow-pending`,
        details: { pending },
      },
    );
  }
  const [missing, edited] = [named('missing'), named('edited')];
  return [
    ...(pending.length === 0 ? [] : [`What these have not done there yet is taken back: ${listed(pending)}.`]),
    ...(missing.length === 0 ? [] : [`Applied there, and no file of the workspace: ${listed(missing)}.`]),
    ...(edited.length === 0
      ? []
      : [`Replayed as they are now, and changed after they were applied: ${listed(edited)}.`]),
  ];
}
