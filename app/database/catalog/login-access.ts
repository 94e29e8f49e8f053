import type { Level } from '../../core/levels.js';
import type { Queryable } from '../queryable.js';
import { isTrustedOwner } from '../records/trusted-owner.js';

/** A role that carries a level of this database, as a login sees it. */
export interface AccessRole {
  readonly level: Level;
  readonly role: string;
  /** Not so after a restore on another cluster. */
  readonly exists: boolean;
  /** Whether its comment says that it is for this database: one of another database's carries no level here. */
  readonly isServing: boolean;
  /** Whether the login has its rights. */
  readonly isMember: boolean;
}

/** What a login may do in this database, and why. */
export interface LoginAccess {
  readonly login: string;
  readonly level: Level;
  /** A part of a sentence: `superuser`, `member of manage_db_operator`. */
  readonly why: string;
  readonly roles: readonly AccessRole[];
}

/**
 * The level of `login` (that of the session by default), by the rule of manage_db.current_level(). Two catalog queries at
 * most; what does not exist or may not be read is never touched, so that the open transaction survives.
 *
 * @example const { level, why } = await readLoginAccess(session);
 */
export async function readLoginAccess(db: Queryable, login: string | null = null): Promise<LoginAccess> {
  const facts = await readFacts(db, login);
  const roles = facts.hasRoles ? await readRoles(db, facts.login) : [];
  return { login: facts.login, roles, ...levelOf(facts, roles) };
}

interface LoginFacts {
  readonly login: string;
  readonly isSuperuser: boolean;
  readonly owner: string;
  readonly hasOwnersRights: boolean;
  /** Whether the table of roles is there and may be read. */
  readonly hasRoles: boolean;
}

function levelOf(facts: LoginFacts, roles: readonly AccessRole[]): Pick<LoginAccess, 'level' | 'why'> {
  if (facts.isSuperuser) return { level: 'admin', why: 'superuser' };
  if (facts.login === facts.owner) return { level: 'admin', why: 'owner of the database' };
  if (facts.hasOwnersRights) return { level: 'admin', why: `member of ${facts.owner}, which owns the database` };
  const highest = roles.find(({ isServing, isMember }) => isServing && isMember);
  if (highest !== undefined) return { level: highest.level, why: `member of ${highest.role}` };
  return { level: 'viewer', why: 'none of the roles of manage_db: may only look' };
}

async function readFacts(db: Queryable, login: string | null): Promise<LoginFacts> {
  const { rows } = await db.query<LoginFacts>(LOGIN_FACTS, [login]);
  const [facts] = rows;
  if (facts === undefined) throw new Error(`There is no role ${login ?? 'of this session'}.`);
  return facts;
}

async function readRoles(db: Queryable, login: string): Promise<readonly AccessRole[]> {
  const { rows } = await db.query<AccessRole>(ACCESS_ROLES, [login]);
  return rows;
}

const LOGIN_FACTS = `
  select l.rolname::text as login, l.rolsuper as "isSuperuser",
    pg_catalog.pg_get_userbyid(d.datdba)::text as owner,
    pg_catalog.pg_has_role(l.oid, d.datdba, 'USAGE') as "hasOwnersRights",
    exists (
      select from pg_catalog.pg_namespace n
      join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = 'access_roles' and c.relkind = 'r'
      where n.nspname = 'manage_db' and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        and pg_catalog.has_table_privilege(c.oid, 'SELECT')
        and ${isTrustedOwner('n.nspowner')} and ${isTrustedOwner('c.relowner')}
    ) as "hasRoles"
  from pg_catalog.pg_roles l
  join pg_catalog.pg_database d on d.datname = pg_catalog.current_database()
  where l.rolname = coalesce($1::name, session_user)`;

const ACCESS_ROLES = `
  select a.level, a.role_name::text as role, r.oid is not null as exists,
    coalesce(pg_catalog.shobj_description(r.oid, 'pg_authid') = pg_catalog.format('manage_db: %s of database %s', a.level,
      pg_catalog.current_database()), false) as "isServing",
    coalesce(pg_catalog.pg_has_role($1::name, r.oid, 'USAGE'), false) as "isMember"
  from manage_db.access_roles a
  left join pg_catalog.pg_roles r on r.rolname = a.role_name
  order by pg_catalog.array_position(array['admin', 'operator', 'viewer'], a.level)`;
