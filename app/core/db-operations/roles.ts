import { type LoginAccess, readLoginAccess } from '../../database/catalog/login-access.js';
import { getOperationSession } from '../../services/database-service.js';
import { ManageDbError } from '../errors.js';
import { type Level, reaches } from '../levels.js';
import { guarded, type OperationOptions } from '../safety/gate.js';
import { OPERATIONS, type OperationName } from '../safety/operations.js';
import { changeMembership, type DbRoleResult } from './roles/change-membership.js';
import { type SetupDbRolesResult, setUpRoles } from './roles/setup.js';

export type { DbRoleResult } from './roles/change-membership.js';
export type { SetupDbRolesResult } from './roles/setup.js';

export interface SetupDbRolesOptions extends OperationOptions {
  /** `clinic` for `clinic_manage_db_viewer` … By default none, or the database's name where another database has those. */
  readonly prefix?: string | undefined;
}

export interface GrantDbRoleOptions extends OperationOptions {
  readonly level: Level;
  readonly login: string;
}

export interface RevokeDbRoleOptions extends OperationOptions {
  readonly login: string;
}

export interface WhoamiResult extends LoginAccess {
  readonly database: string;
  readonly environment: string;
  /** The operations that the level allows; what else they need, they say when they are called. */
  readonly may: readonly OperationName[];
}

/**
 * Creates the three roles that carry the levels of a database (viewer, operator, admin; none can log in), and grants
 * them what they may do in the schema manage_db. May be run again at any time.
 *
 * @throws ManageDbError `PERMISSION_DENIED` with the SQL for an administrator, where the login may not create roles;
 *   `USAGE` when the roles of that prefix serve another database; `LOCK_TIMEOUT`, and what the gate and connecting throw
 * @example const { roles } = await setupDbRoles({ env: 'staging', prefix: 'clinic' });
 */
export function setupDbRoles(options: SetupDbRolesOptions = {}): Promise<SetupDbRolesResult> {
  return guarded('setup-db-roles', options, (target) => {
    if (options.prefix?.trim() === '') throw new ManageDbError('USAGE', 'The prefix of the roles is empty.');
    return setUpRoles(target, { prefix: options.prefix?.trim() ?? null, signal: options.signal });
  });
}

/**
 * Gives a login one level, in the place of the one that it had.
 *
 * @throws ManageDbError `NOT_FOUND` (no such login, with the nearest name; no roles yet), `PERMISSION_DENIED` with the
 *   SQL for an administrator, `USAGE`, `LOCK_TIMEOUT`, and what the gate and connecting throw
 * @example const { before, mayConnect } = await grantDbRole({ env: 'production', level: 'operator', login: 'anna' });
 */
export function grantDbRole(options: GrantDbRoleOptions): Promise<DbRoleResult> {
  const { level, login, signal } = options;
  return guarded('grant-db-role', options, (target) => changeMembership(target, { login, level, signal }));
}

/**
 * Takes from a login the level that it was granted. What it may do by other ways (as the owner, through a group) is in
 * the result.
 *
 * @throws ManageDbError as {@link grantDbRole}
 * @example const { before, level } = await revokeDbRole({ env: 'production', login: 'anna' });
 */
export function revokeDbRole(options: RevokeDbRoleOptions): Promise<DbRoleResult> {
  const { login, signal } = options;
  return guarded('revoke-db-role', options, (target) => changeMembership(target, { login, level: null, signal }));
}

/**
 * Who we are for a database: login, level, why, and what that level allows.
 *
 * @throws ManageDbError what the gate and connecting throw
 * @example const { login, level, why } = await whoami({ env: 'production' });
 */
export function whoami(options: OperationOptions = {}): Promise<WhoamiResult> {
  return guarded('whoami', options, async ({ environment, database }) => {
    const access = await getOperationSession((db) => readLoginAccess(db), {
      env: environment,
      readOnly: true,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const names = Object.keys(OPERATIONS) as OperationName[];
    return {
      ...access,
      database,
      environment,
      may: names.filter((name) => reaches(access.level, OPERATIONS[name].level)),
    };
  });
}
