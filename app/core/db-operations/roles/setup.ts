import { setTimeout as sleep } from 'node:timers/promises';
import { escapeIdentifier, escapeLiteral } from 'pg';
import { type LevelRole, levelRoleComment, readLevelRoles } from '../../../database/catalog/level-roles.js';
import type { Queryable } from '../../../database/queryable.js';
import {
  type LevelRoleNames,
  readAccessRoles,
  revokeAccess,
  writeAccessRoles,
} from '../../../database/records/access-roles.js';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { errorCodeOf } from '../../../services/database-errors.js';
import { getOperationSession } from '../../../services/database-service.js';
import { codeOf, ManageDbError, messageOf, PermissionError } from '../../errors.js';
import { LEVELS, type Level } from '../../levels.js';
import { nextCommand } from '../../next-command.js';
import type { Target } from '../../safety/gate.js';
import { takeAdvisoryLock } from '../advisory-lock.js';
import { explained } from '../failure.js';
import { levelRoleNames } from './level-role-names.js';

export interface SetupDbRolesResult {
  readonly database: string;
  readonly roles: readonly {
    readonly level: Level;
    readonly role: string;
    /** `changed`: it was there, but not set up for this database. */
    readonly state: 'created' | 'changed' | 'unchanged';
  }[];
  /** Roles that carried levels here before and carry none any more. They still exist. */
  readonly replaced: readonly string[];
}

export interface SetupRequest {
  readonly prefix: string | null;
  readonly signal: AbortSignal | undefined;
}

const MOST_ATTEMPTS = 5;

/** The work of `setup-db-roles`, without the gate: one transaction, so that there are all three roles or none. */
export async function setUpRoles(target: Target, request: SetupRequest): Promise<SetupDbRolesResult> {
  const session = { env: target.environment, ...(request.signal === undefined ? {} : { signal: request.signal }) };
  for (let attempt = 1; ; attempt++) {
    try {
      return await getOperationSession((db) => setUp(db, target, request), session);
    } catch (error) {
      if (attempt === MOST_ATTEMPTS || !isRace(error)) throw explainedFailure(error, target);
      await sleep(20 + Math.random() * 80);
    }
  }
}

async function setUp(db: Queryable, target: Target, { prefix, signal }: SetupRequest): Promise<SetupDbRolesResult> {
  await ensureSchema(db);
  await takeAdvisoryLock(db, 'roles', { timeoutMs: 60_000, signal });
  const recorded = await readAccessRoles(db);
  const roles = await chooseRoles(db, target.database, { prefix, recorded });
  const changes = roles.map((role) => ({ ...role, statements: statementsFor(role, roles, target.database) }));
  await execute(db, target, { roles, statements: changes.flatMap(({ statements }) => statements) });
  const names = namesOf(roles);
  await joinAdmins(db, names.admin);
  await writeAccessRoles(db, names);
  const replaced = await revokeFromOthers(db, recorded, names);
  return {
    database: target.database,
    roles: changes.map(({ level, role, exists, statements }) => {
      const isUnchanged = statements.length === 0 && recorded?.[level] === role;
      return { level, role, state: exists ? (isUnchanged ? 'unchanged' : 'changed') : 'created' };
    }),
    replaced,
  };
}

interface Choice {
  readonly prefix: string | null;
  readonly recorded: LevelRoleNames | null;
}

/**
 * Roles are the cluster's: those that serve another of its databases cannot be ours as well, or who is admin there would
 * be admin here.
 */
async function chooseRoles(db: Queryable, database: string, choice: Choice): Promise<readonly LevelRole[]> {
  const { prefix, recorded } = choice;
  const candidates =
    prefix === null
      ? [...(recorded === null ? [] : [recorded]), levelRoleNames(null), levelRoleNames(database)]
      : [levelRoleNames(prefix)];
  let taken: LevelRole | undefined;
  for (const names of candidates) {
    const roles = await readLevelRoles(db, names);
    taken = roles.find((role) => !isAvailable(role, database, recorded));
    if (taken === undefined) return roles;
  }
  throw refusal(taken, database);
}

/**
 * A role without a valid comment is a stranger's, or one of a database that is gone: its members have not been chosen
 * for this database. Unless this database has a record of it, and was only renamed.
 */
function isAvailable(
  { level, role, exists, serves, hasMembers }: LevelRole,
  database: string,
  recorded: LevelRoleNames | null,
): boolean {
  if (!exists || serves === database) return true;
  return serves === null && (!hasMembers || recorded?.[level] === role);
}

function refusal(taken: LevelRole | undefined, database: string): ManageDbError {
  const why =
    taken?.serves === null
      ? 'has members who were not chosen for this database'
      : `serves the database ${taken?.serves}`;
  return new ManageDbError(
    'USAGE',
    `The role ${taken?.role} ${why}; ${database} needs roles of its own. Nothing was changed.`,
    {
      hint: `Choose another name: ${nextCommand('setup-db-roles --prefix NAME')}`,
      details: { role: taken?.role, serves: taken?.serves },
    },
  );
}

/** What `role` lacks. Each level has the rights of those below it; admins may grant those, and not their own. */
function statementsFor(role: LevelRole, roles: readonly LevelRole[], database: string): readonly string[] {
  const name = escapeIdentifier(role.role);
  const below = roles.slice(0, LEVELS.indexOf(role.level));
  return [
    ...(role.exists ? [] : [`create role ${name} nologin`]),
    ...(role.serves === database
      ? []
      : [`comment on role ${name} is ${escapeLiteral(levelRoleComment(role.level, database))}`]),
    ...below.flatMap((lower) => {
      const isAdmin = role.level === 'admin';
      const has = lower.members.some((member) => member.role === role.role && member.isAdmin === isAdmin);
      return has ? [] : [`grant ${escapeIdentifier(lower.role)} to ${name}${isAdmin ? ' with admin option' : ''}`];
    }),
  ];
}

interface Changes {
  readonly roles: readonly LevelRole[];
  readonly statements: readonly string[];
}

async function execute(db: Queryable, target: Target, { roles, statements }: Changes): Promise<void> {
  try {
    for (const statement of statements) await db.query(statement);
  } catch (error) {
    if (errorCodeOf(codeOf(error)) !== 'PERMISSION_DENIED') throw error;
    throw missingCreateRole(target, { roles, statements }, error);
  }
}

function missingCreateRole({ user, database }: Target, { roles, statements }: Changes, cause: unknown): ManageDbError {
  const names = roles.map(({ role }) => escapeIdentifier(role)).join(', ');
  const handingOut = `grant ${names} to ${escapeIdentifier(user)} with admin option`;
  const sql = [...statements, handingOut].map((statement) => `${statement};`);
  return new PermissionError(
    `${user} may not set up the roles of ${database}: ${messageOf(cause)}. Nothing was changed.`,
    {
      hint: `Let an administrator of the server run this, and then run setup-db-roles again:\n${sql.join('\n')}`,
      details: { statements: sql },
      cause,
    },
  );
}

/**
 * Who creates a role on PostgreSQL 16 or newer may grant it, and has none of its rights; without those it could not take
 * back what admins have granted.
 */
async function joinAdmins(db: Queryable, admin: string): Promise<void> {
  const { rows } = await db.query<{ login: string }>(
    `
    select session_user::text as login
    where pg_catalog.pg_has_role(session_user, $1::name, 'MEMBER WITH ADMIN OPTION')
      and not pg_catalog.pg_has_role(session_user, $1::name, 'USAGE')`,
    [admin],
  );
  for (const { login } of rows) await db.query(`grant ${escapeIdentifier(admin)} to ${escapeIdentifier(login)}`);
}

async function revokeFromOthers(
  db: Queryable,
  before: LevelRoleNames | null,
  after: LevelRoleNames,
): Promise<readonly string[]> {
  if (before === null) return [];
  const old = (await readLevelRoles(db, before)).filter(({ level, role, exists }) => exists && after[level] !== role);
  for (const { role } of old) await revokeAccess(db, role);
  return old.map(({ role }) => role);
}

function namesOf(roles: readonly LevelRole[]): LevelRoleNames {
  const [viewer, operator, admin] = roles;
  if (viewer === undefined || operator === undefined || admin === undefined) throw new Error('A level has no role.');
  return { viewer: viewer.role, operator: operator.role, admin: admin.role };
}

/** Somebody in another database created the same role in the same moment: an advisory lock ends at its database. */
function isRace(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return ['42710', '23505'].includes(code) || (code === 'XX000' && /concurrently/.test(messageOf(error)));
}

function explainedFailure(error: unknown, { database, user }: Target): unknown {
  if (error instanceof ManageDbError) return error;
  const known = explained(error, `The roles of ${database} were not changed.`);
  if (known.code !== 'PERMISSION_DENIED') return known;
  return new PermissionError(known.message, {
    hint: `${user} must own the schema manage_db, or be a member of its owner: select nspowner::regrole from pg_namespace where nspname = 'manage_db';`,
    details: known.details,
    cause: error,
  });
}
