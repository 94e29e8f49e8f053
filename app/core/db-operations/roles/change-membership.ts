import { escapeIdentifier } from 'pg';
import { type LoginAccess, readLoginAccess } from '../../../database/catalog/login-access.js';
import { readMemberships } from '../../../database/catalog/memberships.js';
import { type RoleName, readRoleNames } from '../../../database/catalog/role-names.js';
import type { Queryable } from '../../../database/queryable.js';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { errorCodeOf } from '../../../services/database-errors.js';
import { getOperationSession } from '../../../services/database-service.js';
import { codeOf, ManageDbError, messageOf, PermissionError } from '../../errors.js';
import type { Level } from '../../levels.js';
import { nearest } from '../../nearest.js';
import type { Target } from '../../safety/gate.js';
import { takeAdvisoryLock } from '../advisory-lock.js';
import { explained } from '../failure.js';

export interface DbRoleResult {
  readonly database: string;
  readonly login: string;
  /** The level that had been granted to the login itself. */
  readonly before: Level | null;
  readonly after: Level | null;
  /** What the login may do now; more than was granted when it is the owner, or a member of a role that may. */
  readonly level: Level;
  readonly why: string;
  readonly mayConnect: boolean;
  /** `false`: a role that only its members log in with. */
  readonly canLogin: boolean;
}

export interface MembershipRequest {
  readonly login: string;
  /** `null`: none any more. */
  readonly level: Level | null;
  readonly signal: AbortSignal | undefined;
}

/** The work of `grant-db-role` and `revoke-db-role`, without the gate. A login has one level, or none. */
export async function changeMembership(target: Target, request: MembershipRequest): Promise<DbRoleResult> {
  const { signal } = request;
  try {
    return await getOperationSession((db) => change(db, target, request), {
      env: target.environment,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    throw error instanceof ManageDbError ? error : explained(error, `The level of ${request.login} was not changed.`);
  }
}

async function change(
  db: Queryable,
  target: Target,
  { login: typed, level, signal }: MembershipRequest,
): Promise<DbRoleResult> {
  await ensureSchema(db);
  await takeAdvisoryLock(db, 'roles', { timeoutMs: 60_000, signal });
  const { name: login, canLogin, mayConnect } = await findRole(db, typed);
  const { roles } = await readLoginAccess(db, login);
  requireRoles(roles, target);
  refuseOurOwn(roles, login);
  const held = await readMemberships(
    db,
    login,
    roles.map(({ role }) => role),
  );
  const isWanted = (role: string): boolean => roles.some((each) => each.role === role && each.level === level);
  const statements = [
    ...held.filter(({ role }) => !isWanted(role)).map(({ role, grantor }) => revokeStatement(role, login, grantor)),
    ...(held.some(({ role }) => isWanted(role)) ? [] : grantStatements(roles, level, login)),
  ];
  await execute(db, target, { login, statements });
  const access = await readLoginAccess(db, login);
  return {
    database: target.database,
    login,
    before: roles.find(({ role }) => held.some((membership) => membership.role === role))?.level ?? null,
    after: level,
    level: access.level,
    why: access.why,
    mayConnect,
    canLogin,
  };
}

async function findRole(db: Queryable, typed: string): Promise<RoleName> {
  const all = await readRoleNames(db);
  const found = all.find(({ name }) => name === typed) ?? all.find(({ name }) => name === typed.toLowerCase());
  if (found !== undefined) return found;
  const logins = all.filter(({ canLogin }) => canLogin).map(({ name }) => name);
  const suggestion = nearest(typed, logins);
  throw new ManageDbError('NOT_FOUND', `There is no login ${typed} on this server. Nothing was changed.`, {
    hint:
      suggestion === null ? `Create it: create role ${escapeIdentifier(typed)} login;` : `Did you mean ${suggestion}?`,
    details: { login: typed, suggestion },
  });
}

function requireRoles(roles: LoginAccess['roles'], { database, environment }: Target): void {
  if (roles.length > 0 && roles.every(({ isServing }) => isServing)) return;
  throw new ManageDbError(
    'NOT_FOUND',
    `The database ${database} has no roles of its own for the levels. Nothing was changed.`,
    {
      hint: `Create them first: manage_db setup-db-roles --env ${environment}`,
    },
  );
}

function refuseOurOwn(roles: LoginAccess['roles'], login: string): void {
  if (!roles.some(({ role }) => role === login)) return;
  throw new ManageDbError('USAGE', `${login} carries a level itself and cannot be given one. Nothing was changed.`, {
    hint: 'Name the login of a person or a program.',
  });
}

/** From PostgreSQL 16 on everybody who granted a membership has granted one of their own. */
function revokeStatement(role: string, login: string, grantor: string | null): string {
  const by = grantor === null ? '' : ` granted by ${escapeIdentifier(grantor)}`;
  return `revoke ${escapeIdentifier(role)} from ${escapeIdentifier(login)}${by}`;
}

function grantStatements(roles: LoginAccess['roles'], level: Level | null, login: string): readonly string[] {
  return roles
    .filter((each) => each.level === level)
    .map(({ role }) => `grant ${escapeIdentifier(role)} to ${escapeIdentifier(login)}`);
}

interface Change {
  readonly login: string;
  readonly statements: readonly string[];
}

async function execute(db: Queryable, { user }: Target, { login, statements }: Change): Promise<void> {
  try {
    for (const statement of statements) await db.query(statement);
  } catch (error) {
    if (errorCodeOf(codeOf(error)) !== 'PERMISSION_DENIED') throw error;
    const sql = statements.map((statement) => `${statement};`);
    throw new PermissionError(
      `${user} may not change the level of ${login}: ${messageOf(error)}. Nothing was changed.`,
      {
        hint: `Let whoever created the roles, or an administrator of the server, run: ${sql.join(' ')}`,
        details: { statements: sql },
        cause: error,
      },
    );
  }
}
