/** What a workspace may set about the security pack. */
export interface SecurityPackSettings {
  /** The schema of the pack's functions; `public` by default. */
  readonly functionSchema?: string;
  /** Tables to leave alone: `'legacy.*'`. */
  readonly except?: readonly string[];
  readonly passwords?: {
    /** `password_hash` and `password` by default. */
    readonly columns?: readonly string[];
    /** bcrypt's: 12 by default; each step takes twice as long. */
    readonly cost?: number;
    /** Another form of hashes that the application makes, as a regular expression of PostgreSQL. */
    readonly alsoHashed?: string;
  };
  /** For tables that have the first two columns. */
  readonly lockout?: {
    /** `failed_login_attempts` by default. */
    readonly failedColumn?: string;
    /** `locked_until` by default. */
    readonly untilColumn?: string;
    /** Where a login is noted, `last_login_at` by default; a table need not have it. */
    readonly loginColumn?: string;
    /** 5 by default. */
    readonly attempts?: number;
    /** 15 by default. */
    readonly minutes?: number;
  };
  /** For tables that have all three columns. */
  readonly sessions?: {
    /** `user_id` by default. */
    readonly userColumn?: string;
    /** `expires_at` by default. */
    readonly expiresColumn?: string;
    /** `revoked_at` by default. */
    readonly revokedColumn?: string;
    /** The longest that a session lasts without being prolonged: 720 minutes by default. */
    readonly minutes?: number;
    /** Active sessions of one user: 5 by default. */
    readonly limit?: number;
  };
}

export interface SecurityPackConfiguration {
  readonly kind: 'manage_db.security-pack';
  readonly settings: SecurityPackSettings;
}

/**
 * Hashes passwords, locks accounts and manages sessions on the tables that have the columns; exported by one
 * `*.trigger.ts` file. Without it nothing of that happens.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` at the next apply
 * @example
 * export default configureSecurityPack({ passwords: { columns: ['password_hash'] }, lockout: { attempts: 10 } });
 */
export function configureSecurityPack(settings: SecurityPackSettings = {}): SecurityPackConfiguration {
  return { kind: 'manage_db.security-pack', settings };
}

export function isSecurityPackConfiguration(value: unknown): value is SecurityPackConfiguration {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'manage_db.security-pack';
}
