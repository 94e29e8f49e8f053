import { readDatabaseFacts } from '../../../../database/catalog/database-facts.js';
import { ok, type RunCheck } from '../check.js';

/** For information: connecting already refuses a server that is too old. */
export const checkServerVersion: RunCheck = async (db) => {
  const { serverVersion } = await readDatabaseFacts(db);
  return ok(serverVersion, `PostgreSQL ${serverVersion}.`);
};
