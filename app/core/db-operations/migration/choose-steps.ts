import { basename } from 'node:path';
import { ManageDbError } from '../../errors.js';
import { compareVersions } from '../../migration-versions.js';
import { nextCommand } from '../../next-command.js';
import { shellQuote } from '../../shell-quote.js';
import type { Migration } from './migration-files.js';
import type { MigrationStatus } from './states.js';
import type { MigrationStep } from './step.js';

/** How far a run goes. */
export interface Extent {
  /** Up: the last version that is applied. Down: the newest one that stays; `0`: none does. */
  readonly to?: string | undefined;
  /** How many migrations. */
  readonly steps?: number | undefined;
}

/**
 * What is applied, in order of version: all that is pending, unless `extent` says less.
 *
 * @throws ManageDbError `USAGE`, `NOT_FOUND` for a version that no file has
 */
export function stepsUp(statuses: readonly MigrationStatus[], extent: Extent): readonly MigrationStep[] {
  checkExtent(extent);
  const { to, steps } = extent;
  if (to !== undefined && !statuses.some(({ migration, version }) => migration !== null && isSame(version, to))) {
    throw unknownVersion(to, statuses);
  }
  const pending = statuses.flatMap(({ migration, record }) =>
    migration === null || record !== null || (to !== undefined && compareVersions(migration.version, to) > 0)
      ? []
      : [migration],
  );
  const begun = statuses.find(({ statementsDone, record }) => statementsDone !== null && record === null)?.migration;
  // what was begun is finished first; what is older than that is out of order then
  const chosen =
    begun === undefined || begun === null
      ? pending
      : [begun, ...pending.filter(({ version }) => compareVersions(version, begun.version) > 0)];
  return chosen.slice(0, steps).map((migration) => ({ migration, direction: 'up' }));
}

/**
 * What is rolled back, the newest first: the last one, unless `extent` says more.
 *
 * @throws ManageDbError `USAGE`, `NOT_FOUND` for a version that is not applied, `MIGRATION_EDITED`, `MIGRATION_MISSING`,
 *   `MIGRATION_IRREVERSIBLE`
 */
export function stepsDown(statuses: readonly MigrationStatus[], extent: Extent): readonly MigrationStep[] {
  checkExtent(extent);
  const { to, steps } = extent;
  const applied = statuses.filter(({ record }) => record !== null).reverse();
  if (to !== undefined && !isSame(to, '0') && !applied.some(({ version }) => isSame(version, to))) {
    throw unknownVersion(to, applied);
  }
  const chosen =
    to === undefined ? applied.slice(0, steps ?? 1) : applied.filter(({ version }) => compareVersions(version, to) > 0);
  const downs = chosen.map(reversible);
  return downs.map((migration) => ({ migration, direction: 'down' }));
}

function reversible({ migration, record, state, version, name }: MigrationStatus): Migration {
  const file = `${version}_${name}`;
  if (migration === null) {
    throw new ManageDbError(
      'MIGRATION_MISSING',
      `${file} was applied, and its file is not in the migrations folder: nobody knows how to undo it. Nothing was rolled back.`,
      { hint: 'Get the file back (git log --all -- migrations).', details: { version } },
    );
  }
  if (state === 'edited') {
    throw new ManageDbError(
      'MIGRATION_EDITED',
      `${basename(migration.path)} has changed since it was applied: its way down may be that of something else. Nothing was rolled back.`,
      { hint: 'Put the file back as it was (git checkout).', details: { version } },
    );
  }
  if (record?.isBaseline) {
    throw new ManageDbError(
      'MIGRATION_IRREVERSIBLE',
      `${file} is part of the baseline: it was there before manage_db, and was not applied by it. Nothing was rolled back.`,
      { hint: `Go back to it, not past it: --to ${version}`, details: { version } },
    );
  }
  if (migration.down === null) {
    throw new ManageDbError(
      'MIGRATION_IRREVERSIBLE',
      `${basename(migration.path)} has no way down. Nothing was rolled back.`,
      {
        hint: `Make a new migration that undoes it: manage_db create-db-migration ${shellQuote(`undo_${name}`)}. Editing an applied one is refused.`,
        details: { version },
      },
    );
  }
  return migration;
}

function checkExtent({ to, steps }: Extent): void {
  if (to !== undefined && steps !== undefined) {
    throw new ManageDbError('USAGE', '--to and --steps cannot be given together.', { hint: 'Choose one of them.' });
  }
  if (to !== undefined && !/^\d+$/.test(to)) {
    throw new ManageDbError('USAGE', `"${to}" is no version: it is the number at the beginning of a file's name.`, {
      hint: `See them: ${nextCommand('show-all-migrations')}`,
    });
  }
  if (steps !== undefined && !(Number.isInteger(steps) && steps > 0)) {
    throw new ManageDbError('USAGE', '--steps wants a whole number from 1.', {
      hint: 'For instance --steps 1.',
    });
  }
}

function unknownVersion(to: string, statuses: readonly MigrationStatus[]): ManageDbError {
  const last = statuses.slice(0, 3).map(({ version }) => version);
  return new ManageDbError('NOT_FOUND', `There is no migration ${to}. Nothing was changed.`, {
    hint:
      last.length === 0
        ? `See them: ${nextCommand('show-all-migrations')}`
        : `There are ${last.join(', ')} …: ${nextCommand('show-all-migrations')}`,
    details: { version: to },
  });
}

function isSame(one: string, other: string): boolean {
  return compareVersions(one, other) === 0;
}
