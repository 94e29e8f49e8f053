import type { Queryable } from '../queryable.js';

/** Whether this login may create databases. */
export async function mayCreateDatabases(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ may: boolean }>(
    'select r.rolsuper or r.rolcreatedb as may from pg_catalog.pg_roles r where r.rolname = current_user',
  );
  return rows[0]?.may === true;
}
