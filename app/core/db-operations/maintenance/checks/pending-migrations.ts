import { basename } from 'node:path';
import { getWorkspace } from '../../../../config/workspace.js';
import type { MigrationStatus } from '../../migration/states.js';
import { listed, ok, type RunCheck } from '../check.js';

export const checkPendingMigrations: RunCheck = async (db, { environment }) => {
  // Loaded here: parsing migrations is no business of drop-all-tables, which is in the same module.
  const { readMigrations } = await import('../../migration/migration-files.js');
  const { readStates } = await import('../../migration/read-states.js');
  const files = (await readMigrations((await getWorkspace()).migrationsDir)) ?? [];
  const found = await readStates(db, files);
  if (found.length === 0) return ok(0, 'The workspace has no migrations.');
  const of = (state: MigrationStatus['state']) => found.filter((status) => status.state === state);
  const [pending, outOfOrder, edited, missing] = [of('pending'), of('out_of_order'), of('edited'), of('missing')];
  const unfinished = found.filter(({ statementsDone }) => statementsDone !== null);
  const sentences = [
    sentence('Begun and not finished', unfinished),
    sentence('Not applied yet', pending),
    sentence('Not applied, although later ones are', outOfOrder),
    sentence('Changed since they were applied', edited),
    sentence('Applied, and no such file is in the workspace', missing),
  ].filter((text) => text !== '');
  if (sentences.length === 0) return ok(0, `All ${found.length} migrations of the workspace are applied.`);
  const canBeApplied =
    pending.length + unfinished.length > 0 && edited.length + missing.length + outOfOrder.length === 0;
  return {
    status: 'warning',
    value: pending.length + outOfOrder.length,
    detail: sentences.join(' '),
    fix: `manage_db ${canBeApplied ? 'apply-db-migration' : 'show-all-migrations'} --env ${environment}`,
  };
};

function sentence(what: string, states: readonly MigrationStatus[]): string {
  if (states.length === 0) return '';
  return `${what}: ${listed(states.map(({ migration, version, name }) => (migration === null ? `${version}_${name}` : basename(migration.path))))}.`;
}
