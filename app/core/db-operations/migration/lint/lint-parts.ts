import { basename, resolve } from 'node:path';
import type { Queryable } from '../../../../database/queryable.js';
import { readSqlFile, type SqlSource } from '../../../../services/sql-script.js';
import { codeOf } from '../../../errors.js';
import { parseMigrationText } from '../file-format.js';
import { type History, readHistory } from '../history.js';
import { type MigrationPart, readMigrations } from '../migration-files.js';
import { judgeMigrations } from '../states.js';

/** What is linted as one: one direction of a migration, or a file that is none. */
export interface LintPart {
  readonly direction: 'up' | 'down';
  readonly isTransactional: boolean;
  readonly source: SqlSource;
}

export interface WantedParts {
  /** Paths; none: the migrations of `folder`. */
  readonly files: readonly string[];
  readonly folder: string;
  /** Where given, only what is not applied there. */
  readonly pendingIn: Queryable | null;
  readonly withDown: boolean;
  readonly warn: (warning: string) => void;
}

/** Bytes. The parser takes less, and what it does not take is said in its place. */
const LARGEST = 16 * 1024 * 1024;

/**
 * The parts to lint, in the order in which they would run.
 *
 * @throws ManageDbError `UNREADABLE_FILE`, and those of reading migrations
 */
export async function readParts({ files, ...wanted }: WantedParts): Promise<readonly LintPart[]> {
  if (files.length > 0)
    return [...new Set(files.map((file) => resolve(file)))].flatMap((path) => partsOfFile(path, wanted));
  const { folder, pendingIn } = wanted;
  const migrations = (await readMigrations(folder)) ?? [];
  const history = pendingIn === null ? null : await historyOf(pendingIn, wanted);
  if (history === null) return migrations.flatMap((one) => partsOf(one, wanted));
  return judgeMigrations(migrations, history).flatMap(({ state, migration }) =>
    migration !== null && (state === 'pending' || state === 'out_of_order') ? partsOf(migration, wanted) : [],
  );
}

/** Who may look at tables may not always look at manage_db's own. */
async function historyOf(db: Queryable, { warn }: Wanted): Promise<History | null> {
  try {
    return await readHistory(db);
  } catch (error) {
    if (codeOf(error) !== '42501') throw error;
    warn('This login may not read which migrations were applied: all of them were linted.');
    return null;
  }
}

type Wanted = Pick<WantedParts, 'withDown' | 'warn'>;

function partsOfFile(path: string, wanted: Wanted): readonly LintPart[] {
  const sql = readSqlFile(path, LARGEST);
  if (/^--\s*migrate:up(\s|$)/m.test(sql)) return partsOf({ path, ...parseMigrationText(path, sql) }, wanted);
  return [{ direction: 'up', isTransactional: true, source: { path, sql, firstLine: 1 } }];
}

interface Directions {
  readonly path: string;
  readonly up: MigrationPart;
  readonly down: MigrationPart | null;
}

function partsOf({ path, up, down }: Directions, { withDown, warn }: Wanted): readonly LintPart[] {
  if (up.kind === 'function') {
    warn(`${basename(path)} was not linted: what a function executes is known only when it runs.`);
    return [];
  }
  return [
    { direction: 'up', ...up },
    ...(withDown && down?.kind === 'sql' ? [{ direction: 'down', ...down } as const] : []),
  ];
}
