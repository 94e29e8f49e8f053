import type { Level } from '../../core/levels.js';
import type { Queryable } from '../queryable.js';

/** A role of the cluster that carries a level, or is to carry one. */
export interface LevelRole {
  readonly level: Level;
  readonly role: string;
  readonly exists: boolean;
  /** The database that its comment says it is for, where that exists. */
  readonly serves: string | null;
  /** Whether somebody who is no superuser has its rights, apart from the other roles asked for. */
  readonly hasMembers: boolean;
  /** Those of the other roles that have it, and may hand it on. */
  readonly members: readonly { readonly role: string; readonly isAdmin: boolean }[];
}

/** What the comment of a role says that carries `level` of `database`. manage_db.roles_serving expects exactly this. */
export function levelRoleComment(level: Level, database: string): string {
  return `manage_db: ${level} of database ${database}`;
}

/** The state of `names` on the cluster, viewer first. */
export async function readLevelRoles(
  db: Queryable,
  names: Readonly<Record<Level, string>>,
): Promise<readonly LevelRole[]> {
  const { rows } = await db.query<LevelRole>(LEVEL_ROLES, [[names.viewer, names.operator, names.admin]]);
  return rows;
}

const LEVEL_ROLES = `
  with wanted as (
    select u.role, u.position, (array['viewer', 'operator', 'admin'])[u.position] as level
    from pg_catalog.unnest($1::text[]) with ordinality as u (role, position)
  )
  select w.level, w.role, r.oid is not null as exists,
    (
      select d.datname::text from pg_catalog.pg_database d
      where pg_catalog.shobj_description(r.oid, 'pg_authid')
        = pg_catalog.format('manage_db: %s of database %s', w.level, d.datname)
    ) as serves,
    exists (
      select from pg_catalog.pg_auth_members m
      join pg_catalog.pg_roles member on member.oid = m.member
      where m.roleid = r.oid and not member.rolsuper and pg_catalog.pg_has_role(m.member, m.roleid, 'USAGE')
        and member.rolname <> all ($1::name[])
    ) as "hasMembers",
    coalesce((
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('role', member.rolname, 'isAdmin', m.admin_option))
      from pg_catalog.pg_auth_members m
      join pg_catalog.pg_roles member on member.oid = m.member
      where m.roleid = r.oid and member.rolname = any ($1::name[])
    ), '[]') as members
  from wanted w
  left join pg_catalog.pg_roles r on r.rolname = w.role
  order by w.position`;
