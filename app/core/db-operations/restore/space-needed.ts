import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { nextCommand } from '../../next-command.js';
import type { Manifest } from '../manifest/manifest.js';
import type { FreeSpace } from './free-space.js';

/** Bytes of an empty database, at least. */
export const EMPTY_DATABASE = 7_000_000;

/** How large what is restored will be at least: hardly smaller than its compressed dump. */
export function leastBytesOf({ compression, files }: Pick<Manifest, 'compression' | 'files'>): number {
  // text can be larger than what it becomes
  const dumpBytes = compression === 'none' ? 0 : files.reduce((sum, file) => sum + file.sizeBytes, 0);
  return EMPTY_DATABASE + dumpBytes;
}

/**
 * Refuses what cannot fit beside the live database. Returns warnings: that it may not fit.
 *
 * @param liveBytes of the database that is there, as a measure; `null`: not known
 * @throws ManageDbError `USAGE`
 */
export function judgeSpace(
  {
    what,
    verb,
    leastBytes: needed,
  }: { readonly what: string; readonly verb: 'restore' | 'copy'; readonly leastBytes: number },
  { free, liveBytes }: { readonly free: FreeSpace; readonly liveBytes: number | null },
): string[] {
  if (free === 'unknown') return [];
  if (free < needed) {
    throw new ManageDbError(
      'USAGE',
      `There is no room to ${verb} ${what} beside the live database: it takes at least ${megabytes(needed)}, and the server has ${megabytes(free)} free.`,
      {
        hint: `Make room; see also: ${nextCommand('list-previous-databases')}`,
        details: { neededBytes: needed, freeBytes: free },
      },
    );
  }
  if (liveBytes === null || free >= liveBytes) return [];
  return [`It may not fit: the live database has ${megabytes(liveBytes)}, and the server has ${megabytes(free)} free.`];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toLocaleString('en-US', { maximumFractionDigits: 0 })} MB`;
}

/** `null`: it does not exist, or the login may not ask. */
export async function readSizeOf(db: Queryable, database: string): Promise<number | null> {
  const { rows } = await db.query<{ size: number }>(
    'select pg_catalog.pg_database_size(d.oid)::double precision as size from pg_catalog.pg_database d where d.datname = $1 and pg_catalog.has_database_privilege(d.oid, $2)',
    [database, 'connect'],
  );
  return rows[0]?.size ?? null;
}
