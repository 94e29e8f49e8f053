import type { Client } from 'pg';
import { inSavepoint } from '../../../../database/in-savepoint.js';
import { isServerError } from '../../../../services/database-errors.js';
import { messageOf } from '../../../errors.js';
import type { PlannedDirection } from './plan-changes.js';
import { settingsOf } from './render-migration.js';
import type { ReplayedDatabase } from './replay.js';

/**
 * Tries each statement in its order, so that one that the server refuses does not withhold all others: that one is marked, and so
 * is what cannot be done without it. Nothing stays of it.
 *
 * @throws what ends the connection
 */
export function withoutFailing({ connect }: ReplayedDatabase, direction: PlannedDirection): Promise<PlannedDirection> {
  return connect(async (client) => {
    await client.query(['begin', ...settingsOf(direction)].join('; '));
    const statements = [];
    for (const statement of direction.statements) {
      statements.push({ ...statement, problem: await problemOf(client, statement.sql) });
    }
    await client.query('rollback');
    return { ...direction, statements };
  });
}

async function problemOf(client: Client, sql: string): Promise<string | null> {
  try {
    await inSavepoint(client, () => client.query(sql));
    return null;
  } catch (error) {
    if (!isServerError(error) || error.code.startsWith('57P')) throw error;
    return messageOf(error);
  }
}
