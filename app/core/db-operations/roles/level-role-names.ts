import type { LevelRoleNames } from '../../../database/records/access-roles.js';
import { LEVELS, type Level } from '../../levels.js';

/** PostgreSQL cuts longer names, in bytes. */
const NAME_BYTES = 63;

/**
 * The names of the three roles: `manage_db_viewer` …, or with a prefix `clinic_manage_db_viewer` …, of which as much is
 * kept as a name may have.
 *
 * @example levelRoleNames('clinic').operator // 'clinic_manage_db_operator'
 */
export function levelRoleNames(prefix: string | null): LevelRoleNames {
  const longest = Math.max(...LEVELS.map((level) => Buffer.byteLength(`_${roleOf(level)}`)));
  const stem = prefix === null ? '' : `${shortened(unreserved(prefix), NAME_BYTES - longest)}_`;
  return {
    viewer: stem + roleOf('viewer'),
    operator: stem + roleOf('operator'),
    admin: stem + roleOf('admin'),
  };
}

function roleOf(level: Level): string {
  return `manage_db_${level}`;
}

/** PostgreSQL keeps the names that begin with pg_ for itself. */
function unreserved(prefix: string): string {
  return prefix.startsWith('pg_') ? `db_${prefix}` : prefix;
}

function shortened(text: string, bytes: number): string {
  const letters = [...text];
  while (Buffer.byteLength(letters.join('')) > bytes) letters.pop();
  return letters.join('');
}
