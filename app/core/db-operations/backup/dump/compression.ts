import type { ClientTools } from '../../../../services/client-tools.js';
import { ManageDbError } from '../../../errors.js';

/** The highest levels that the methods know; the lowest is 1. */
const HIGHEST_LEVELS = { gzip: 9, lz4: 12, zstd: 22 } as const;

/** `--compress` took only a level of gzip before. */
const FIRST_MAJOR_WITH_METHODS = 16;

/**
 * Checks `METHOD[:LEVEL]` as `--compress` takes it.
 *
 * @throws ManageDbError `USAGE`
 * @example parseCompression('zstd:3') // 'zstd:3'
 */
export function parseCompression(typed: string): string {
  const [, method, level] = /^(none|gzip|lz4|zstd)(?::(\d{1,2}))?$/.exec(typed) ?? [];
  if (method === undefined)
    throw refused(`--compress takes none, gzip, lz4 or zstd, with a level or without (zstd:3), not ${typed}.`);
  if (level === undefined) return typed;
  if (method === 'none') throw refused('No compression has no level: --compress none.');
  const highest = HIGHEST_LEVELS[method as keyof typeof HIGHEST_LEVELS];
  if (Number(level) < 1 || Number(level) > highest)
    throw refused(`${method} has the levels 1 to ${highest}, not ${level}.`);
  return `${method}:${Number(level)}`;
}

/**
 * Where there is no zstd. Against gzip:6, which pg_dump takes by itself, of which gzip takes the time of (and the size):
 * prose 18 % at level 1 (1.22), 20 % at level 2 (1.18), 32 % at level 3 (1.10); rows of numbers, dates and hashes 37 % (1.06),
 * 45 % (1.04), 54 % (1.03). Level 2 is the one that is at least twice as fast and at most a fifth larger with both.
 */
export const FAST_GZIP = 'gzip:2';

/** zstd is faster and smaller than gzip, and came with pg_dump 16. */
export function bestCompression({ major }: ClientTools): string {
  return major >= FIRST_MAJOR_WITH_METHODS ? 'zstd:1' : FAST_GZIP;
}

/**
 * What `pg_dump --compress` is given for `compression`.
 *
 * @throws ManageDbError `USAGE` for a method that came later than this pg_dump
 */
export function compressArgument(compression: string, { major, version }: ClientTools): string {
  if (major >= FIRST_MAJOR_WITH_METHODS) return compression;
  if (compression === 'none') return '0';
  const level = /^gzip(?::(\d+))?$/.exec(compression);
  if (level !== null) return level[1] ?? '6';
  throw refused(`pg_dump ${version} has gzip only: ${compression} came with version ${FIRST_MAJOR_WITH_METHODS}.`, {
    hint: `Leave out --compress, take --compress ${FAST_GZIP}, or point PG_BIN_DIR at PostgreSQL ${FIRST_MAJOR_WITH_METHODS} or newer.`,
  });
}

/** Whether pg_dump says that it was built without the library for a method; nothing has been written then. */
export function isWithoutMethod(stderr: string): boolean {
  return /does not support compression with (zstd|lz4|gzip)/i.test(stderr);
}

export function withoutMethod(compression: string, cause: unknown): ManageDbError {
  return refused(`This pg_dump was built without ${compression.split(':')[0]}.`, {
    hint: `Leave out --compress, or take --compress ${FAST_GZIP}.`,
    cause,
  });
}

function refused(message: string, more: { hint?: string; cause?: unknown } = {}): ManageDbError {
  return new ManageDbError('USAGE', message, { hint: 'See: manage_db create-backup --help', ...more });
}
