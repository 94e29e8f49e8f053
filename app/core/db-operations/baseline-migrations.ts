import { getWorkspace } from '../../config/workspace.js';
import { ManageDbError } from '../errors.js';
import { nextCommand } from '../next-command.js';
import { guarded, type OperationOptions } from '../safety/gate.js';
import { type BaselineChoice, type BaselineResult, recordBaseline } from './migration/baseline.js';
import { readMigrations } from './migration/migration-files.js';

export type { BaselineResult } from './migration/baseline.js';

export interface BaselineOptions extends OperationOptions {
  /** Every migration up to this version, and this one. */
  readonly to?: string | undefined;
  /** Every migration of the workspace. */
  readonly all?: boolean | undefined;
  /** Those that dbmate has recorded in its own table. */
  readonly fromDbmate?: boolean | undefined;
  /** With `fromDbmate`: that table, `public.schema_migrations` by default. */
  readonly table?: string | undefined;
}

/**
 * Records migrations as applied without executing them: for a database that had what they make before manage_db came.
 * Nothing is recorded twice, and either all of it or nothing.
 *
 * @throws ManageDbError `USAGE` unless exactly one of `to`, `all` and `fromDbmate` is given, and for a table that is none of
 *   dbmate's; `NOT_FOUND` for a version without a file, a database without anything in it, a missing table; `MIGRATION_EDITED`
 *   where one is recorded with another text; `MIGRATION_UNFINISHED` for one that was begun; `LOCK_TIMEOUT`,
 *   `INVALID_CONFIGURATION`, `UNREADABLE_FILE`, and what the gate and connecting throw
 * @example const { recorded } = await baselineMigrations({ env: 'production', to: '20250113090000' });
 */
export function baselineMigrations(options: BaselineOptions = {}): Promise<BaselineResult> {
  return guarded('baseline-db-migration', options, async (target, { note }) => {
    const choice = choiceOf(options);
    const { migrationsDir } = await getWorkspace();
    const files = await readMigrations(migrationsDir);
    if (files === null || files.length === 0) throw noFiles(migrationsDir);
    const result = await recordBaseline(target, { files, choice }, options);
    note({ recorded: result.recorded.map(({ version }) => version) });
    return result;
  });
}

function choiceOf({ to, all, fromDbmate, table }: BaselineOptions): BaselineChoice {
  const given = [to !== undefined, all === true, fromDbmate === true].filter(Boolean).length;
  if (given !== 1) {
    throw new ManageDbError(
      'USAGE',
      `Which migrations are in the database already? ${given === 0 ? 'Nothing says so' : 'Only one of the three can say so'}. Nothing was recorded.`,
      {
        hint: 'Give --to VERSION, --all, or --from-dbmate.',
      },
    );
  }
  if (table !== undefined && fromDbmate !== true) {
    throw new ManageDbError('USAGE', 'A table is read with --from-dbmate only. Nothing was recorded.', {
      hint: 'manage_db baseline-db-migration --help',
    });
  }
  if (to !== undefined && !/^\d+$/.test(to)) {
    throw new ManageDbError(
      'USAGE',
      `--to takes a version, the number that a file name begins with, not ${JSON.stringify(to)}. Nothing was recorded.`,
      {
        hint: `${nextCommand('show-all-migrations')} lists them.`,
      },
    );
  }
  if (to !== undefined) return { kind: 'to', version: to };
  return all === true ? { kind: 'all' } : { kind: 'dbmate', table: table ?? 'public.schema_migrations' };
}

function noFiles(folder: string): ManageDbError {
  return new ManageDbError('NOT_FOUND', `There are no migrations in ${folder}. Nothing was recorded.`, {
    hint: `A migration that makes what the database has can be written by: ${nextCommand('create-db-migration NAME --autogenerate')}`,
  });
}
