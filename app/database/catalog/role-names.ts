import type { Queryable } from '../queryable.js';

export interface RoleName {
  readonly name: string;
  readonly canLogin: boolean;
  readonly mayConnect: boolean;
}

/** Every role of the cluster but those of PostgreSQL itself, and whether it may connect to this database. */
export async function readRoleNames(db: Queryable): Promise<readonly RoleName[]> {
  const { rows } = await db.query<RoleName>(ROLE_NAMES);
  return rows;
}

const ROLE_NAMES = `
  select r.rolname::text as name, r.rolcanlogin as "canLogin",
    pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CONNECT') as "mayConnect"
  from pg_catalog.pg_roles r
  where pg_catalog.left(r.rolname, 3) <> 'pg_'
  order by 1`;
