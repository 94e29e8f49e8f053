import { type HashFormat, type SecurityPolicy, securityPolicy } from './security-policy.js';

/** What a workspace may set about the security pack. */
export interface SecurityPackSettings {
  /** The schema of the pack's functions; `public` by default. */
  readonly functionSchema?: string;
  /** Tables to leave alone: `'legacy.*'`. */
  readonly except?: readonly string[];
  /** `false`: passwords are not hashed. */
  readonly passwords?: PasswordSettings | false;
  /** `false`: accounts are not locked. */
  readonly lockout?: LockoutSettings | false;
  /** `false`: sessions are left to the application. */
  readonly sessions?: SessionSettings | false;
}

export interface PasswordSettings {
  /** Columns that hold passwords; `['password_hash']` by default. What is in them can never be read again. */
  readonly columns?: readonly string[];
  /** Only in these tables: `'clinic.users'`. */
  readonly only?: readonly string[];
  /** Of bcrypt, 4 to 31; each one more doubles the time. 12 by default, about 0.2 s a password. */
  readonly cost?: number;
  /** What is kept as it is, beside bcrypt; every {@link HashFormat} by default. */
  readonly hashes?: readonly HashFormat[];
  /** A regular expression of PostgreSQL for hashes of another format, for the whole value. */
  readonly alsoHashed?: string;
}

export interface LockoutSettings {
  /** The column that counts failed logins; `failed_login_attempts` by default. */
  readonly failedColumn?: string;
  /** The column that says until when the account is locked; `locked_until` by default. */
  readonly untilColumn?: string;
  /** The column that changes with a successful login, where there is one; `last_login_at` by default. */
  readonly loginColumn?: string;
  /** Only in these tables: `'clinic.users'`. */
  readonly only?: readonly string[];
  /** How many failures lock; 5 by default. */
  readonly attempts?: number;
  /** For how long, in minutes; 15 by default. */
  readonly minutes?: number;
}

export interface SessionSettings {
  /** In these tables; by default in those whose names end in `session` or `sessions`. */
  readonly only?: readonly string[];
  /** The column of the user; `user_id` by default. */
  readonly userColumn?: string;
  /** The column of the moment at which a session ends; `expires_at` by default. */
  readonly expiresColumn?: string;
  /** The column of the moment at which it was ended; `revoked_at` by default. */
  readonly revokedColumn?: string;
  /** The column of its beginning, where there is one; `created_at` by default. */
  readonly createdColumn?: string;
  /** How long it lasts when nothing is said; 720 (12 hours) by default. */
  readonly minutes?: number;
  /** From its beginning, however often it is prolonged; 43200 (30 days) by default. */
  readonly maximumMinutes?: number;
  /** How many active sessions a user may have; 5 by default, `null`: any number. */
  readonly limit?: number | null;
}

export interface SecurityPackConfiguration {
  readonly kind: 'manage_db.security-pack';
  readonly settings: SecurityPolicy;
}

/**
 * Hashes passwords, locks accounts and manages sessions on the tables that have the columns; exported by one
 * `*.trigger.ts` file. Without it nothing of that happens.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` with every problem at once
 * @example
 * export default configureSecurityPack({
 *   passwords: { columns: ['password_hash', 'password'], only: ['clinic.users'], cost: 13 },
 *   lockout: { loginColumn: 'last_seen', attempts: 10, minutes: 30 },
 *   sessions: { only: ['clinic.logins'], minutes: 60, maximumMinutes: 1440, limit: 3 },
 * });
 */
export function configureSecurityPack(settings: SecurityPackSettings = {}): SecurityPackConfiguration {
  return { kind: 'manage_db.security-pack', settings: securityPolicy(settings) };
}

export function isSecurityPackConfiguration(value: unknown): value is SecurityPackConfiguration {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'manage_db.security-pack';
}
