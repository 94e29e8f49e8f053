import { escapeIdentifier } from 'pg';
import type { Queryable } from '../../../../database/queryable.js';
import { messageOf } from '../../../errors.js';
import { setStatements } from '../../database-state/database-properties.js';
import type { DatabaseProperties } from '../../manifest/manifest.js';

/**
 * Gives a scratch database what is set in the real one for everybody and for this login: a search_path, say, decides where
 * a migration creates its tables. Returns what could not be set, in sentences.
 */
export async function takeSettings(
  maintenance: Queryable,
  scratch: string,
  { settings }: DatabaseProperties,
): Promise<readonly string[]> {
  const { rows } = await maintenance.query<{ login: string }>('select current_user::text as login');
  const database = `database ${escapeIdentifier(scratch)}`;
  const warnings: string[] = [];
  for (const { role, settings: pairs } of settings) {
    if (role !== null && role !== rows[0]?.login) continue;
    const target = role === null ? database : `role ${escapeIdentifier(role)} in ${database}`;
    for (const statement of setStatements(target, pairs)) {
      await maintenance.query(statement).catch((error: unknown) => {
        warnings.push(`In the scratch database one setting is not as in the real one: ${messageOf(error)}.`);
      });
    }
  }
  return warnings;
}
