import type { Queryable } from '../queryable.js';

/** A role as CREATE ROLE takes it. */
export interface RoleDefinition {
  readonly name: string;
  readonly isSuperuser: boolean;
  readonly inherits: boolean;
  readonly createsRoles: boolean;
  readonly createsDatabases: boolean;
  readonly canLogin: boolean;
  readonly isReplication: boolean;
  readonly bypassesRowSecurity: boolean;
  readonly connectionLimit: number;
  /** ISO 8601 or `infinity`. */
  readonly validUntil: string | null;
  readonly comment: string | null;
  /** `name=value`, in every database. */
  readonly settings: readonly string[];
  /** As the server keeps it: a verifier, not the password. `null`: none, or it was not asked for. */
  readonly password: string | null;
}

export interface RoleMembership {
  readonly role: string;
  readonly member: string;
  readonly isAdmin: boolean;
  /** `null` before PostgreSQL 16, where the member decides. */
  readonly inherits: boolean | null;
  readonly maySet: boolean | null;
}

/** The roles `names` that are not PostgreSQL's own. */
export async function readRoleDefinitions(
  db: Queryable,
  names: readonly string[],
  { withPasswords }: { readonly withPasswords: boolean },
): Promise<readonly RoleDefinition[]> {
  const passwords = withPasswords
    ? 'join pg_catalog.pg_authid p on p.oid = r.oid'
    : `cross join (select null::text) as p (rolpassword)`;
  const { rows } = await db.query<RoleDefinition>(
    `
    select r.rolname::text as name, r.rolsuper as "isSuperuser", r.rolinherit as inherits, r.rolcreaterole as "createsRoles",
      r.rolcreatedb as "createsDatabases", r.rolcanlogin as "canLogin", r.rolreplication as "isReplication",
      r.rolbypassrls as "bypassesRowSecurity", r.rolconnlimit as "connectionLimit",
      case when pg_catalog.isfinite(r.rolvaliduntil)
        then pg_catalog.to_char(r.rolvaliduntil at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
        else r.rolvaliduntil::text end as "validUntil",
      pg_catalog.shobj_description(r.oid, 'pg_authid') as comment,
      coalesce((select s.setconfig from pg_catalog.pg_db_role_setting s where s.setrole = r.oid and s.setdatabase = 0), '{}')
        as settings,
      p.rolpassword as password
    from pg_catalog.pg_roles r
    ${passwords}
    where r.rolname = any ($1::name[]) and pg_catalog.left(r.rolname, 3) <> 'pg_'
    order by 1`,
    [names],
  );
  return rows;
}

/** Whether this login may read what the server keeps of passwords. */
export async function mayReadPasswords(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ may: boolean }>(
    `select pg_catalog.has_column_privilege('pg_catalog.pg_authid'::pg_catalog.regclass, 'rolpassword', 'select')
      and pg_catalog.has_column_privilege('pg_catalog.pg_authid'::pg_catalog.regclass, 'oid', 'select') as may`,
  );
  return rows[0]?.may === true;
}

/** The memberships of the roles `names` in each other, and in PostgreSQL's own roles. */
export async function readMembershipsAmong(
  db: Queryable,
  names: readonly string[],
): Promise<readonly RoleMembership[]> {
  const { rows } = await db.query<RoleMembership>(MEMBERSHIPS, [names]);
  return rows;
}

/** Since 16 several roles may have granted the same one, each with options of its own, which columns of their own hold. */
const MEMBERSHIPS = `
  select role.rolname::text as role, member.rolname::text as member, bool_or(m.admin_option) as "isAdmin",
    bool_or((j.columns ->> 'inherit_option')::boolean) as inherits, bool_or((j.columns ->> 'set_option')::boolean) as "maySet"
  from pg_catalog.pg_auth_members m
  join pg_catalog.pg_roles role on role.oid = m.roleid
  join pg_catalog.pg_roles member on member.oid = m.member
  cross join lateral (select pg_catalog.to_jsonb(m) as columns) j
  where member.rolname = any ($1::name[]) and pg_catalog.left(member.rolname, 3) <> 'pg_'
    and (role.rolname = any ($1::name[]) or pg_catalog.left(role.rolname, 3) = 'pg_')
  group by 1, 2
  order by 1, 2`;
