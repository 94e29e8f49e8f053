import type { RunCheck } from '../check.js';
import { ok } from '../check.js';

export const checkDatabaseSize: RunCheck = async (db) => {
  const { rows } = await db.query<{ bytes: number; pretty: string }>(DATABASE_SIZE);
  const [size] = rows;
  return ok(size?.bytes ?? null, `${size?.pretty} on disk.`);
};

const DATABASE_SIZE = `
  select size::float8 as bytes, pg_catalog.pg_size_pretty(size) as pretty
  from pg_catalog.pg_database_size(pg_catalog.current_database()) size`;
