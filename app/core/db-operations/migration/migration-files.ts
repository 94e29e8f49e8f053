import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { readSqlFile, shownPath } from '../../../services/sql-script.js';
import { codeOf, ManageDbError, messageOf } from '../../errors.js';
import { compareVersions } from '../../migration-versions.js';
import { invalidMigration, type MigrationOptions, parseMigrationText, type SqlPart } from './file-format.js';
import { type FunctionPart, readModuleMigration } from './module-migration.js';

/** `migrations/<version>_<name>.sql` in dbmate's format, or `<version>_<name>.ts` with functions `up` and `down`. */
export interface Migration {
  readonly version: string;
  readonly name: string;
  readonly path: string;
  /** SHA-256 of the text without byte order mark and with LF line ends: Git may change both. */
  readonly checksum: string;
  readonly up: MigrationPart;
  readonly down: MigrationPart | null;
  readonly options: MigrationOptions;
  /** `<version>_<name>.test.sql`, where it is there. */
  readonly testPath: string | null;
}

export type MigrationPart = SqlPart | FunctionPart;

const NAME = /^(\d+)[_-]?(.*)\.(sql|[cm]?ts|m?js)$/s;

/** What is no migration although it begins with a version: tests, declarations, notes, data, and copies that were put aside. */
const BESIDE =
  /(\.test\.[a-z]+|\.d\.[cm]?ts|\.map|\.(md|markdown|txt|adoc|rst|csv|tsv|json|ya?ml)|\.(bak|old|orig|rej|tmp|sw[a-z]|off|disabled)|~)$/;

/** Named like a migration, up to its ending, or with an ending that only looks like one. */
const ALMOST = /^\d+(?![^_.-])|^\d.*\.(sql|[cm]?[jt]s)$/is;

/**
 * The migrations of `folder` by version, or `null` when there is no such folder. Files whose name does not begin with a
 * number are not migrations.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` for a file that is not in the format of migrations, that is named like one
 *   and has another ending, or when two have one version; `UNREADABLE_FILE`
 * @example const migrations = await readMigrations((await getWorkspace()).migrationsDir);
 */
export async function readMigrations(folder: string): Promise<Migration[] | null> {
  if (!existsSync(folder)) return null;
  const files = namesIn(folder).filter((file) => !BESIDE.test(file));
  const migrations: Migration[] = [];
  for (const file of files) {
    const path = join(folder, file);
    const [, version, name = '', extension] = NAME.exec(file) ?? [];
    if (version !== undefined)
      migrations.push(await readMigration(path, { version, name, isSql: extension === 'sql' }));
    else if (ALMOST.test(file) && !isFolder(path)) throw otherEnding(path);
  }
  migrations.sort((one, other) => compareVersions(one.version, other.version));
  migrations.forEach((migration, index) => {
    const previous = migrations[index - 1];
    if (previous !== undefined && compareVersions(previous.version, migration.version) === 0) {
      const problem = `has the same version as ${shownPath(previous.path)}`;
      throw invalidMigration(migration.path, problem, 'Give one of them a later timestamp.');
    }
  });
  return migrations;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const problem = codeOf(error) === 'ENOTDIR' ? 'it is not a folder' : messageOf(error);
    throw new ManageDbError('UNREADABLE_FILE', `The migrations in ${folder} cannot be read: ${problem}.`, {
      hint: 'Check migrationsDir in manage_db.config.*, and the permissions of the folder.',
      cause: error,
    });
  }
}

/** Left out in silence, it would be missed only where the next one needs it. */
function otherEnding(path: string): ManageDbError {
  return invalidMigration(
    path,
    'is named like a migration, and its ending is that of none',
    'Migrations end with .sql, .ts, .mts, .cts, .js or .mjs, in small letters. Rename it; what is none must not begin with a version.',
  );
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

interface FileName {
  readonly version: string;
  readonly name: string;
  readonly isSql: boolean;
}

async function readMigration(path: string, { version, name, isSql }: FileName): Promise<Migration> {
  if (isFolder(path)) {
    throw new ManageDbError('UNREADABLE_FILE', `${shownPath(path)} is a folder, and is named like a migration.`, {
      hint: 'Give it a name without that ending, or move it out of the migrations.',
      details: { file: path },
    });
  }
  const text = readSqlFile(path);
  const testPath = path.replace(/\.[a-z]+$/, '.test.sql');
  return {
    version,
    name,
    path,
    checksum: createHash('sha256').update(text).digest('hex'),
    ...(isSql ? parseMigrationText(path, text) : await readModuleMigration(path)),
    testPath: existsSync(testPath) ? testPath : null,
  };
}
