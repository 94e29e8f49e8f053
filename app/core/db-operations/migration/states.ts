import { basename } from 'node:path';
import { ManageDbError } from '../../errors.js';
import { compareVersions, newestVersion, versionKey } from '../../migration-versions.js';
import type { AppliedRecord, History } from './history.js';
import type { Migration } from './migration-files.js';

/**
 * `edited`: applied, and the file has changed since; `missing`: applied, and there is no file; `out_of_order`: not
 * applied, and older than one that is.
 */
export type MigrationState = 'applied' | 'pending' | 'edited' | 'missing' | 'out_of_order';

export interface MigrationStatus {
  readonly version: string;
  readonly name: string;
  readonly state: MigrationState;
  readonly appliedAt: Date | null;
  /** `null`: there is no file. */
  readonly migration: Migration | null;
  /** `null`: it is not applied. */
  readonly record: AppliedRecord | null;
  /** Of one that runs statement by statement and was begun, how many are done; `null` for all others. */
  readonly statementsDone: number | null;
}

/** What has become of every migration that there is a file or a record of, by version. */
export function judgeMigrations(
  files: readonly Migration[],
  { applied, journal }: History,
): readonly MigrationStatus[] {
  const records = new Map(applied.map((record) => [versionKey(record.version), record]));
  const versions = new Set(files.map(({ version }) => versionKey(version)));
  const newest = newestVersion(applied.map(({ version }) => version));
  const begun = new Set(journal.map(({ version }) => versionKey(version)));
  const statementsDone = (version: string) =>
    begun.has(versionKey(version))
      ? journal.filter((entry) => versionKey(entry.version) === versionKey(version) && entry.state === 'done').length
      : null;
  const ofFiles = files.map((migration): MigrationStatus => {
    const { version, name, checksum } = migration;
    const record = records.get(versionKey(version)) ?? null;
    const isOlder = newest !== null && compareVersions(version, newest) < 0;
    const state = record === null ? (isOlder ? 'out_of_order' : 'pending') : appliedState(record, checksum);
    return {
      version,
      name,
      state,
      appliedAt: record?.appliedAt ?? null,
      migration,
      record,
      statementsDone: statementsDone(version),
    };
  });
  const withoutFile = applied
    .filter(({ version }) => !versions.has(versionKey(version)))
    .map(
      (record): MigrationStatus => ({
        version: record.version,
        name: record.name,
        state: 'missing',
        appliedAt: record.appliedAt,
        migration: null,
        record,
        statementsDone: statementsDone(record.version),
      }),
    );
  return [...ofFiles, ...withoutFile].sort((one, other) => compareVersions(one.version, other.version));
}

function appliedState(record: AppliedRecord, checksum: string): 'applied' | 'edited' {
  return record.checksum === checksum ? 'applied' : 'edited';
}

/** Which of what is not as it should be is let through. */
export interface Tolerance {
  readonly outOfOrder?: boolean | undefined;
  readonly missing?: boolean | undefined;
}

/**
 * Refuses to go on from a history that the files do not tell.
 *
 * @throws ManageDbError `MIGRATION_EDITED`, `MIGRATION_MISSING`, `MIGRATION_OUT_OF_ORDER`
 */
export function refuseOtherHistory(statuses: readonly MigrationStatus[], tolerance: Tolerance = {}): void {
  const inState = (state: MigrationState) => statuses.filter((status) => status.state === state);
  const edited = inState('edited');
  if (edited.length > 0) {
    throw refusal('MIGRATION_EDITED', edited, {
      problem: 'Changed after they were applied',
      hint: 'Put the file back as it was (git checkout), and make the change a new migration.',
    });
  }
  const missing = inState('missing');
  if (missing.length > 0 && tolerance.missing !== true) {
    throw refusal('MIGRATION_MISSING', missing, {
      problem: 'Applied here, and not in the migrations folder',
      hint: 'Get the newest state of the folder (git pull); --allow-missing goes on without the files.',
    });
  }
  const outOfOrder = inState('out_of_order');
  if (outOfOrder.length > 0 && tolerance.outOfOrder !== true) {
    const newest = statuses.filter(({ record }) => record !== null).at(-1);
    throw refusal('MIGRATION_OUT_OF_ORDER', outOfOrder, {
      problem: `Not applied, and older than ${newest?.version}, which is`,
      hint: 'Give them a later version (rename the files), or apply them as they are with --allow-out-of-order.',
    });
  }
}

function refusal(
  code: 'MIGRATION_EDITED' | 'MIGRATION_MISSING' | 'MIGRATION_OUT_OF_ORDER',
  statuses: readonly MigrationStatus[],
  { problem, hint }: { readonly problem: string; readonly hint: string },
): ManageDbError {
  const names = statuses.map(({ migration, version, name }) =>
    migration === null ? `${version}_${name}` : basename(migration.path),
  );
  return new ManageDbError(code, `${problem}: ${names.join(', ')}. No migration was applied.`, {
    hint,
    details: { versions: statuses.map(({ version }) => version) },
  });
}
