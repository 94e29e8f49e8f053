import { getWorkspace } from '../../config/workspace.js';
import { getOperationSession } from '../../services/database-service.js';
import { compareVersions, versionKey } from '../migration-versions.js';
import type { OperationControls } from '../progress.js';
import { guarded, type OperationOptions } from '../safety/gate.js';
import { type AskedEnvironment, askEnvironments } from './migration/ask-environments.js';
import { readInPlace, recordableUpTo } from './migration/in-place.js';
import { readMigrations } from './migration/migration-files.js';
import { readStates } from './migration/read-states.js';
import { countStates, type MigrationCounts, type ShownMigration, shownMigration } from './migration/shown-migration.js';
import type { MigrationState } from './migration/states.js';

export type { InPlace } from './migration/in-place.js';
export type { MigrationCounts, ShownMigration } from './migration/shown-migration.js';
export type { MigrationState } from './migration/states.js';

export interface ShownMigrations {
  /** By version: those of the workspace, and those that are recorded and have no file. */
  readonly migrations: readonly ShownMigration[];
  /** How many are not applied, those that are out of order included. */
  readonly pending: number;
  readonly counts: MigrationCounts;
  /**
   * The last version up to which all that is not recorded is in place as a whole, for `baselineMigrations({ to })`; `null`: there
   * is none.
   */
  readonly recordableUpTo: string | null;
  /** `null`: the workspace has no such folder. */
  readonly migrationsFolder: string | null;
}

export interface ShowMigrationsEverywhereOptions extends OperationControls {
  /** Milliseconds that each environment has for its answer; 10,000 by default. */
  readonly timeLimitMs?: number | undefined;
}

export interface MigrationEnvironment {
  readonly name: string;
  readonly reachable: boolean;
  /** Why it did not answer. */
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string | null };
  /** `null`: it did not answer. */
  readonly counts: MigrationCounts | null;
}

export interface MigrationRow {
  readonly version: string;
  readonly name: string;
  /** By environment; `null`: it did not answer, or has never heard of this one, and there is no file. */
  readonly states: Readonly<Record<string, MigrationState | null>>;
}

export interface MigrationMatrix {
  readonly environments: readonly MigrationEnvironment[];
  /** By version. */
  readonly migrations: readonly MigrationRow[];
  readonly migrationsFolder: string | null;
}

/**
 * Shows where each migration of the workspace stands in a database: applied, pending, changed since, without a file, or
 * passed over by later ones; and of those that are not applied, what they make that is there nevertheless.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` and `UNREADABLE_FILE` for a file that is no migration, and what the gate and
 *   connecting throw
 * @example const { pending } = await showMigrations({ env: 'production' });
 */
export function showMigrations(options: OperationOptions = {}): Promise<ShownMigrations> {
  return guarded('show-all-migrations', options, async ({ environment }) => {
    const { root, migrationsDir } = await getWorkspace();
    const files = await readMigrations(migrationsDir);
    const { signal } = options;
    const session = { env: environment, readOnly: true, isolation: 'repeatable read' } as const;
    const { states, inPlace } = await getOperationSession(
      async (db) => {
        const states = await readStates(db, files ?? []);
        return { states, inPlace: await readInPlace(db, states) };
      },
      { ...session, ...(signal === undefined ? {} : { signal }) },
    );
    const migrations = states.map((status) => shownMigration(status, { root, inPlace }));
    const counts = countStates(migrations);
    return {
      migrations,
      pending: counts.pending + counts.out_of_order,
      counts,
      recordableUpTo: recordableUpTo(states, inPlace),
      migrationsFolder: files === null ? null : migrationsDir,
    };
  });
}

/**
 * Shows where each migration stands in every environment that has a database. They are asked at the same time; one that
 * does not answer is said to be unreachable and stands in nobody's way. Starts no server and changes nothing.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` and `UNREADABLE_FILE` for a file that is no migration, `INTERRUPTED`
 * @example
 * const { migrations } = await showMigrationsEverywhere();
 * const waiting = migrations.filter(({ states }) => states.production === 'pending');
 */
export async function showMigrationsEverywhere(
  options: ShowMigrationsEverywhereOptions = {},
): Promise<MigrationMatrix> {
  const { migrationsDir } = await getWorkspace();
  const files = await readMigrations(migrationsDir);
  const asked = await askEnvironments((db) => readStates(db, files ?? []), options);
  return {
    environments: asked.map(environmentOf),
    migrations: rowsOf(asked),
    migrationsFolder: files === null ? null : migrationsDir,
  };
}

type Asked = AskedEnvironment<Awaited<ReturnType<typeof readStates>>>;

function environmentOf({ name, answer }: Asked): MigrationEnvironment {
  if ('found' in answer) return { name, reachable: true, counts: countStates(answer.found) };
  const { code, message, hint } = answer.error;
  return { name, reachable: false, error: { code, message, hint }, counts: null };
}

function rowsOf(asked: readonly Asked[]): readonly MigrationRow[] {
  const rows = new Map<string, { version: string; name: string; states: Record<string, MigrationState | null> }>();
  for (const { name: environment, answer } of asked) {
    for (const { version, name, state } of 'found' in answer ? answer.found : []) {
      const row = rows.get(versionKey(version)) ?? {
        version,
        name,
        states: Object.fromEntries(asked.map(({ name }) => [name, null])),
      };
      row.states[environment] = state;
      rows.set(versionKey(version), row);
    }
  }
  return [...rows.values()].sort((one, other) => compareVersions(one.version, other.version));
}
