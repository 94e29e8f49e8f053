import { basename } from 'node:path';
import { getWorkspace } from '../../../../config/workspace.js';
import { listed } from '../../../listed.js';
import { versionKey } from '../../../migration-versions.js';
import type { InPlace } from '../../migration/in-place.js';
import type { MigrationStatus } from '../../migration/states.js';
import { ok, type RunCheck } from '../check.js';

export const checkPendingMigrations: RunCheck = async (db, { environment }) => {
  // Loaded here: parsing migrations is no business of drop-all-tables, which is in the same module.
  const { readMigrations } = await import('../../migration/migration-files.js');
  const { readStates } = await import('../../migration/read-states.js');
  const { readInPlace, recordableUpTo } = await import('../../migration/in-place.js');
  const files = (await readMigrations((await getWorkspace()).migrationsDir)) ?? [];
  const found = await readStates(db, files);
  if (found.length === 0) return ok(0, 'The workspace has no migrations.');
  const of = (state: MigrationStatus['state']) => found.filter((status) => status.state === state);
  const [pending, outOfOrder, edited, missing] = [of('pending'), of('out_of_order'), of('edited'), of('missing')];
  const unfinished = found.filter(({ statementsDone }) => statementsDone !== null);
  const inPlace = await readInPlace(db, found);
  const isAbsent = ({ version }: MigrationStatus) => !inPlace.has(versionKey(version));
  const baseline = recordableUpTo(found, inPlace);
  const sentences = [
    ...inPlaceSentences(found, ({ version }) => inPlace.get(versionKey(version))),
    sentence('Begun and not finished', unfinished),
    sentence('Not applied yet', pending.filter(isAbsent)),
    sentence('Not applied, although later ones are', outOfOrder.filter(isAbsent)),
    sentence('Changed since they were applied', edited),
    sentence('Applied, and no such file is in the workspace', missing),
  ].filter((text) => text !== '');
  if (sentences.length === 0) return ok(0, allApplied(found.length));
  const isWrong = edited.length + missing.length + outOfOrder.length + inPlace.size > 0;
  const canBeApplied = pending.length + unfinished.length > 0 && !isWrong;
  const command = canBeApplied ? 'apply-db-migration' : 'show-all-migrations';
  return {
    status: 'warning',
    value: pending.length + outOfOrder.length,
    detail: sentences.join(' '),
    fix: `manage_db ${baseline === null ? command : `baseline-db-migration --to ${baseline}`} --env ${environment}`,
  };
};

function inPlaceSentences(
  states: readonly MigrationStatus[],
  inPlaceOf: (state: MigrationStatus) => InPlace | undefined,
): readonly string[] {
  return ([true, false] as const).map((isWhole) => {
    const files = states.flatMap((state) => {
      const inPlace = inPlaceOf(state);
      return inPlace?.isWhole === isWhole ? [`${fileOf(state)} (${listed(inPlace.objects, 3)})`] : [];
    });
    const what = isWhole ? 'what they make' : 'part of what they make';
    return files.length === 0 ? '' : `Not recorded as applied, although ${what} is there: ${listed(files)}.`;
  });
}

function sentence(what: string, states: readonly MigrationStatus[]): string {
  return states.length === 0 ? '' : `${what}: ${listed(states.map(fileOf))}.`;
}

function fileOf({ migration, version, name }: MigrationStatus): string {
  return migration === null ? `${version}_${name}` : basename(migration.path);
}

function allApplied(count: number): string {
  return count === 1
    ? 'The one migration of the workspace is applied.'
    : `All ${count} migrations of the workspace are applied.`;
}
