import type { Queryable } from '../queryable.js';

/**
 * What only sessions of one and the same server have in common. A standby has the system identifier of the server that it
 * follows, and another start.
 */
export async function readServerStart(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ start: string }>(`
    select c.system_identifier || ' ' || extract(epoch from pg_catalog.pg_postmaster_start_time())::text
      || ' ' || pg_catalog.pg_is_in_recovery()::text as start
    from pg_catalog.pg_control_system() c`);
  return rows[0]?.start ?? '';
}
