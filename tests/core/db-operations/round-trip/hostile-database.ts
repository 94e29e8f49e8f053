import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { escapeIdentifier } from 'pg';

/** The roles that the hostile database names. */
export const HOSTILE_ROLES = ['Ärztin "Dr"; --', "Leser's %s"];

/** The search_path that it relies on, and does not set itself. */
export const HOSTILE_SEARCH_PATH = 'public, "TABLE DATA"';

/** The database of the file, with roles that are quoted wherever they are named. */
export function hostileDatabase(): string {
  const sql = readFileSync(join(import.meta.dirname, 'hostile-database.sql'), 'utf8');
  const [owner = '', reader = ''] = HOSTILE_ROLES.map((role) => escapeIdentifier(role));
  return sql.replaceAll('round_trip_owner', owner).replaceAll('round_trip_reader', reader);
}
