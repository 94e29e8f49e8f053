import { relative } from 'node:path';
import { versionKey } from '../../migration-versions.js';
import type { InPlace } from './in-place.js';
import type { MigrationState, MigrationStatus } from './states.js';

/** One migration as it stands in one database. */
export interface ShownMigration {
  readonly version: string;
  readonly name: string;
  /**
   * `pending`: not applied; `out_of_order`: not applied, and a later one is; `edited`: the file is not the one that was
   * applied; `missing`: applied, and there is no such file.
   */
  readonly state: MigrationState;
  /** ISO. */
  readonly appliedAt: string | null;
  /** Milliseconds that it took. */
  readonly durationMs: number | null;
  readonly actor: string | null;
  /** Recorded without being executed: the database had it already. */
  readonly isBaseline: boolean;
  /** From the workspace's folder; `null`: there is no such file. */
  readonly file: string | null;
  /** Of one that does not run in a transaction, was begun and is not finished: the statements that are done. */
  readonly statementsDone: number | null;
  /** Of one that is not applied: what it makes, and is there nevertheless, so that it cannot be applied; `null`: nothing. */
  readonly inPlace: InPlace | null;
}

/** `status` as it is shown, its file as seen from `root`. */
export function shownMigration(
  status: MigrationStatus,
  { root, inPlace }: { readonly root: string; readonly inPlace: ReadonlyMap<string, InPlace> },
): ShownMigration {
  const { version, name, state, appliedAt, record, migration, statementsDone } = status;
  return {
    version,
    name,
    state,
    appliedAt: appliedAt?.toISOString() ?? null,
    durationMs: record?.durationMs ?? null,
    actor: record?.actor ?? null,
    isBaseline: record?.isBaseline ?? false,
    file: migration === null ? null : relative(root, migration.path),
    statementsDone,
    inPlace: inPlace.get(versionKey(version)) ?? null,
  };
}

export type MigrationCounts = Readonly<Record<MigrationState, number>>;

/** How many are in each state. */
export function countStates(migrations: readonly Pick<ShownMigration, 'state'>[]): MigrationCounts {
  const counts = { applied: 0, pending: 0, edited: 0, missing: 0, out_of_order: 0 };
  for (const { state } of migrations) counts[state] += 1;
  return counts;
}
