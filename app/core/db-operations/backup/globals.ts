import { escapeIdentifier, escapeLiteral } from 'pg';
import {
  mayReadPasswords,
  type RoleDefinition,
  type RoleMembership,
  readMembershipsAmong,
  readRoleDefinitions,
} from '../../../database/catalog/role-definitions.js';
import type { Queryable } from '../../../database/queryable.js';
import { propertyStatements, setStatements } from '../database-state/database-properties.js';
import type { Manifest } from '../manifest/manifest.js';

/** In the backup's folder, beside the dump. */
export const GLOBALS_FILE = 'globals.sql';

export interface Globals extends Pick<Manifest, 'database' | 'roles' | 'properties'> {
  /** Leaves out what the server keeps of the roles' passwords, also where the login may read it. */
  readonly withoutPasswords: boolean;
}

export interface GlobalsScript {
  readonly sql: string;
  /** Whether what the server keeps of the roles' passwords is in it. */
  readonly hasPasswords: boolean;
}

/**
 * Says in SQL what belongs to the server and no dump of one database has: the roles that it refers to, their memberships among
 * themselves, their settings, and the owner, grants and settings of the database. For psql, as somebody who may create
 * roles; what exists already stays as it is.
 */
export async function describeGlobals(db: Queryable, globals: Globals): Promise<GlobalsScript> {
  const { database, roles, properties, withoutPasswords } = globals;
  const withPasswords = !withoutPasswords && (await mayReadPasswords(db));
  const definitions = await readRoleDefinitions(db, roles, { withPasswords });
  const memberships = await readMembershipsAmong(db, roles);
  const sql = [
    `-- Roles that the database ${inComment(database)} refers to${withPasswords ? '' : ', without their passwords'}.`,
    '-- A role that exists already is left as it is.',
    ...definitions.map(createRole),
    '',
    '-- Their memberships.',
    ...memberships.map((membership) => grantMembership(membership, definitions)),
    '',
    '-- The database, where it exists by then: owner, grants, settings, connection limit, comment.',
    onlyIf(
      `exists (select from pg_catalog.pg_database where datname = ${escapeLiteral(database)})`,
      propertyStatements(database, properties),
    ),
    '',
  ].join('\n');
  return { sql, hasPasswords: withPasswords };
}

function createRole(role: RoleDefinition): string {
  const name = escapeIdentifier(role.name);
  const is = (word: string, yes: boolean) => (yes ? word : `no${word}`);
  const options = [
    is('superuser', role.isSuperuser),
    is('inherit', role.inherits),
    is('createrole', role.createsRoles),
    is('createdb', role.createsDatabases),
    is('login', role.canLogin),
    is('replication', role.isReplication),
    is('bypassrls', role.bypassesRowSecurity),
    `connection limit ${role.connectionLimit}`,
    ...(role.validUntil === null ? [] : [`valid until ${escapeLiteral(role.validUntil)}`]),
    ...(role.password === null ? [] : [`password ${escapeLiteral(role.password)}`]),
  ];
  return onlyIf(`not exists (select from pg_catalog.pg_roles where rolname = ${escapeLiteral(role.name)})`, [
    `create role ${name} with ${options.join(' ')}`,
    ...(role.comment === null ? [] : [`comment on role ${name} is ${escapeLiteral(role.comment)}`]),
    ...setStatements(`role ${name}`, role.settings),
  ]);
}

function grantMembership(membership: RoleMembership, definitions: readonly RoleDefinition[]): string {
  const { role, member, isAdmin, inherits, maySet } = membership;
  const grant = `grant ${escapeIdentifier(role)} to ${escapeIdentifier(member)}`;
  const byDefault = definitions.find(({ name }) => name === member)?.inherits ?? true;
  // what servers before 16 understand, unless it cannot be said that way
  if (maySet === false || (inherits !== null && inherits !== byDefault)) {
    return `${grant} with admin ${isAdmin}, inherit ${inherits ?? byDefault}, set ${maySet ?? true};`;
  }
  return isAdmin ? `${grant} with admin option;` : `${grant};`;
}

function onlyIf(condition: string, statements: readonly string[]): string {
  const body = `begin\n  if ${condition} then\n${statements.map((statement) => `    ${statement};`).join('\n')}\n  end if;\nend`;
  let tag = '$manage_db$';
  for (let number = 1; body.includes(tag); number++) tag = `$manage_db_${number}$`;
  return `do ${tag} ${body} ${tag};`;
}

/** A name with a line break must not end the comment. */
function inComment(name: string): string {
  return JSON.stringify(name);
}
