import { escapeIdentifier } from 'pg';
import { LEVELS, type Level } from '../../core/levels.js';
import type { Queryable } from '../queryable.js';

export type LevelRoleNames = Readonly<Record<Level, string>>;

/** The roles that were recorded for this database, or `null` before the first setup. They need not exist. */
export async function readAccessRoles(db: Queryable): Promise<LevelRoleNames | null> {
  const { rows } = await db.query<{ level: Level; role: string }>(
    'select level, role_name::text as role from manage_db.access_roles',
  );
  const roleOf = (wanted: Level): string | undefined => rows.find(({ level }) => level === wanted)?.role;
  const [viewer, operator, admin] = LEVELS.map(roleOf);
  return viewer === undefined || operator === undefined || admin === undefined ? null : { viewer, operator, admin };
}

/** Records `names`, and grants them what the levels may do in the schema manage_db. */
export async function writeAccessRoles(db: Queryable, { viewer, operator, admin }: LevelRoleNames): Promise<void> {
  const values = [viewer, operator, admin];
  await db.query(`delete from manage_db.access_roles where (level, role_name) not in (${WANTED})`, values);
  await db.query(
    `insert into manage_db.access_roles (level, role_name) ${WANTED} on conflict (level) do nothing`,
    values,
  );
  await db.query('select manage_db.grant_access()');
}

const WANTED = `values ('viewer', $1::name), ('operator', $2::name), ('admin', $3::name)`;

/**
 * Repeats the grants in the schema manage_db, where it has any, for the roles of the database `served`: a database that
 * is being restored does not have its name yet.
 */
export async function grantAccess(db: Queryable, served: string): Promise<void> {
  const { rowCount } = await db.query(`
    select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'manage_db' and p.proname = 'grant_access'`);
  if (rowCount !== 0) await db.query('select manage_db.grant_access($1)', [served]);
}

/** Forgets the roles of the database that this one is a copy of, and takes from them what they may do in the schema manage_db. */
export async function forgetAccessRoles(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ role: string }>(
    'select r.rolname as role from manage_db.access_roles a join pg_catalog.pg_roles r on r.rolname = a.role_name',
  );
  for (const { role } of rows) await revokeAccess(db, role);
  await db.query('delete from manage_db.access_roles');
}

/** Takes from `role` what it was granted in the schema manage_db. */
export async function revokeAccess(db: Queryable, role: string): Promise<void> {
  const name = escapeIdentifier(role);
  await db.query(`revoke all on all tables in schema manage_db from ${name}`);
  await db.query(`revoke all on all functions in schema manage_db from ${name}`);
  await db.query(`revoke all on schema manage_db from ${name}`);
}
