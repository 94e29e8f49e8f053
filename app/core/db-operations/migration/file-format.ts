import { type SqlSource, shownPath } from '../../../services/sql-script.js';
import { ManageDbError } from '../../errors.js';
import { nearest } from '../../nearest.js';

/** What a file says about how it wants to be run; `null`: the settings of the environment count. */
export interface MigrationOptions {
  /** How long one attempt waits for a lock, in milliseconds. */
  readonly lockTimeoutMs: number | null;
  /** How long one statement may take, in milliseconds. */
  readonly statementTimeoutMs: number | null;
}

/** One direction of a file. */
export interface SqlPart {
  readonly kind: 'sql';
  readonly source: SqlSource;
  /** `false`: statement by statement, for what PostgreSQL refuses in a transaction. */
  readonly isTransactional: boolean;
}

export interface MigrationText {
  readonly up: SqlPart;
  readonly down: SqlPart | null;
  readonly options: MigrationOptions;
}

const TRANSACTION = 'transaction';
const HEADER_OPTIONS = [TRANSACTION, 'lock-timeout', 'statement-timeout'];

/**
 * The parts of a migration file in dbmate's format: `-- migrate:up` and `-- migrate:down`, either with
 * `transaction:false` behind it. Above `-- migrate:up` stand comments, of which these are options for both directions:
 *
 *     -- transaction: false
 *     -- lock-timeout: 2s
 *     -- statement-timeout: 10min
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` with file and line: without `-- migrate:up`, with a marker twice or in the
 *   wrong order, with statements above it, with an option that is none
 */
export function parseMigrationText(path: string, text: string): MigrationText {
  const lines = text.split('\n');
  refuseAlmostMarkers(path, lines);
  const up = onlyMarker(path, lines, 'up');
  const down = onlyMarker(path, lines, 'down');
  if (up === null) throw invalidMigration(path, 'has no line "-- migrate:up"', 'Write that line above the statements.');
  if (down !== null && down < up) {
    throw invalidMigration(path, 'has "-- migrate:down" before "-- migrate:up"', 'Put up first.', down + 1);
  }
  const header = readHeader(path, lines.slice(0, up));
  const part = (marker: number, end: number): SqlPart => ({
    kind: 'sql',
    source: { path, sql: lines.slice(marker + 1, end).join('\n'), firstLine: marker + 2 },
    isTransactional: markerTransaction(path, lines[marker] ?? '', marker + 1) ?? header.isTransactional,
  });
  return {
    up: part(up, down ?? lines.length),
    down: down === null ? null : part(down, lines.length),
    options: header.options,
  };
}

export function invalidMigration(path: string, problem: string, hint: string, line?: number): ManageDbError {
  const shown = shownPath(path);
  const place = line === undefined ? shown : `${shown}:${line}`;
  return new ManageDbError('INVALID_CONFIGURATION', `${place} ${problem}. No migration was applied.`, {
    hint,
    details: { file: path, line: line ?? null },
  });
}

/** What follows a marker that is not understood would be executed in the direction of the one above it: the drops, too. */
function refuseAlmostMarkers(path: string, lines: readonly string[]): void {
  for (const [index, line] of lines.entries()) {
    const [, meant = ''] = /^\s*--\s*migrate\s*:((?:\s*(?:up|down)(?![^\s])|\S+).*)$/i.exec(line) ?? [];
    if (meant === '' || /^--\s*migrate:(up|down)(\s|$)/.test(line)) continue;
    throw invalidMigration(
      path,
      `has an unknown marker "${line.trim()}"`,
      'Write -- migrate:up or -- migrate:down, in small letters, at the beginning of the line.',
      index + 1,
    );
  }
}

/** @returns the index of the line; `null` when there is none */
function onlyMarker(path: string, lines: readonly string[], direction: 'up' | 'down'): number | null {
  const marker = new RegExp(`^--\\s*migrate:${direction}(\\s|$)`);
  const found = lines.flatMap((line, index) => (marker.test(line) ? [index] : []));
  const [first, second] = found;
  if (second !== undefined) {
    throw invalidMigration(
      path,
      `has a second "-- migrate:${direction}"; the first is on line ${(first ?? 0) + 1}`,
      'Make two files of it, or take one of the lines out.',
      second + 1,
    );
  }
  return first ?? null;
}

function readHeader(
  path: string,
  lines: readonly string[],
): { readonly isTransactional: boolean; readonly options: MigrationOptions } {
  const values = new Map<string, { readonly value: string; readonly line: number }>();
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const [, comment] = /^\s*--(.*)$/.exec(line) ?? [];
    if (comment === undefined) {
      throw invalidMigration(
        path,
        'has something else than comments above "-- migrate:up"',
        'Put every statement below that line.',
        index + 1,
      );
    }
    const [, name = '', value = ''] = /^\s*([a-z][a-z_-]*)\s*:\s*(\S+)\s*$/i.exec(comment) ?? [];
    const option = optionNamed(path, name, index + 1);
    if (option === null) continue;
    if (values.has(option)) throw invalidMigration(path, `says ${option} twice`, 'Take one of them out.', index + 1);
    values.set(option, { value, line: index + 1 });
  }
  const transaction = values.get(TRANSACTION);
  const duration = (name: string): number | null => {
    const found = values.get(name);
    return found === undefined ? null : durationOf(path, { name, ...found });
  };
  return {
    isTransactional: transaction === undefined || isTrue(path, transaction),
    options: { lockTimeoutMs: duration('lock-timeout'), statementTimeoutMs: duration('statement-timeout') },
  };
}

/** Any comment may be a word and a colon; one that is nearly an option was meant to be one. */
function optionNamed(path: string, name: string, line: number): string | null {
  const word = name.toLowerCase().replaceAll('_', '-');
  if (HEADER_OPTIONS.includes(word)) return word;
  const meant = word.length < 6 ? null : nearest(word, HEADER_OPTIONS);
  if (meant === null || Math.abs(meant.length - word.length) > 2) return null;
  throw invalidMigration(path, `has an unknown option "${name}"`, `Did you mean ${meant}?`, line);
}

function markerTransaction(path: string, marker: string, line: number): boolean | null {
  const words = marker.replace(/^--\s*migrate:\w+/, '').trim();
  let isTransactional: boolean | null = null;
  for (const word of words === '' ? [] : words.split(/\s+/)) {
    const [name, value, ...more] = word.split(':');
    if (name !== TRANSACTION || value === undefined || more.length > 0) {
      throw invalidMigration(
        path,
        `has an unknown option "${word}" behind its marker`,
        'What may stand there is transaction:false.',
        line,
      );
    }
    isTransactional = isTrue(path, { value, line });
  }
  return isTransactional;
}

function isTrue(path: string, { value, line }: { readonly value: string; readonly line: number }): boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  throw invalidMigration(path, `says transaction: ${value}`, 'Write transaction: true or transaction: false.', line);
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, min: 60_000, h: 3_600_000 };

/** As PostgreSQL writes them: `500ms`, `2s`, `10min`; without a unit, milliseconds. */
function durationOf(
  path: string,
  { name, value, line }: { readonly name: string; readonly value: string; readonly line: number },
): number {
  const [, number, unit = 'ms'] = /^(\d{1,9})(ms|s|min|h)?$/.exec(value) ?? [];
  const milliseconds = Number(number ?? Number.NaN) * (UNITS[unit] ?? Number.NaN);
  // more than that PostgreSQL does not take
  if (milliseconds >= 0 && milliseconds <= 2_147_483_647) return milliseconds;
  throw invalidMigration(path, `says ${name}: ${value}`, `Write it as ${name}: 500ms, 2s or 10min.`, line);
}
