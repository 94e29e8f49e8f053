import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readSqlFile, type SqlSource } from '../../../services/sql-script.js';
import { ManageDbError } from '../../errors.js';

/** `migrations/<version>_<name>.sql`, in dbmate's format. */
export interface Migration {
  readonly version: string;
  readonly name: string;
  readonly path: string;
  /** SHA-256 of the text without byte order mark and with LF line ends: Git may change both. */
  readonly checksum: string;
  readonly up: SqlSource;
  readonly down: SqlSource | null;
}

/**
 * The migrations of `folder` by version, or `null` when there is no such folder. Files whose name does not begin with a
 * number are not migrations.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` when a file lacks `-- migrate:up` or two have one version; `UNREADABLE_FILE`
 */
export function readMigrations(folder: string): Migration[] | null {
  if (!existsSync(folder)) return null;
  const migrations = readdirSync(folder)
    .map((file) => /^(\d+)_(.+)\.sql$/.exec(file))
    .filter((match) => match !== null)
    .map(([file, version = '', name = '']) => parseMigration(join(folder, file), version, name))
    .sort(byVersion);
  migrations.forEach((migration, index) => {
    const previous = migrations[index - 1];
    if (previous?.version === migration.version) {
      throw invalid(migration.path, `has the same version as ${previous.path}`, 'Give one of them a later timestamp.');
    }
  });
  return migrations;
}

function parseMigration(path: string, version: string, name: string): Migration {
  const text = readSqlFile(path);
  const lines = text.split('\n');
  const up = findMarker(lines, 'up');
  const down = findMarker(lines, 'down');
  if (up === null) throw invalid(path, 'has no line "-- migrate:up"', 'Write that line above the statements.');
  if (down !== null && down < up) throw invalid(path, 'has "-- migrate:down" before "-- migrate:up"', 'Put up first.');
  const header = [...lines.slice(0, up + 1), down === null ? '' : (lines[down] ?? '')].join('\n');
  if (/transaction:\s*false/.test(header)) {
    throw invalid(
      path,
      'asks for transaction: false, which this version cannot do yet',
      'Run it with psql, or take the option out.',
    );
  }
  const part = (from: number, to: number): SqlSource => ({
    path,
    sql: lines.slice(from + 1, to).join('\n'),
    firstLine: from + 2,
  });
  return {
    version,
    name,
    path,
    checksum: createHash('sha256').update(text).digest('hex'),
    up: part(up, down ?? lines.length),
    down: down === null ? null : part(down, lines.length),
  };
}

function findMarker(lines: readonly string[], direction: 'up' | 'down'): number | null {
  const marker = new RegExp(`^--\\s*migrate:${direction}(\\s|$)`);
  const index = lines.findIndex((line) => marker.test(line));
  return index === -1 ? null : index;
}

/** By number, however many digits: a hand-numbered 9 comes before 10. */
function byVersion(a: Migration, b: Migration): number {
  const difference = BigInt(a.version) - BigInt(b.version);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function invalid(path: string, problem: string, hint: string): ManageDbError {
  return new ManageDbError('INVALID_CONFIGURATION', `${path} ${problem}. No migration was applied.`, {
    hint,
    details: { file: path },
  });
}
