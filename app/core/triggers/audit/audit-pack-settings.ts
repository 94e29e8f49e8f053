/** What a workspace may set about the audit pack. */
export interface AuditPackSettings {
  /** Where the log and its functions are; `audit` by default. */
  readonly schema?: string;
  /** Only these tables: `'billing.*'`. All tables of the application by default. */
  readonly only?: readonly string[];
  /** Tables that are not audited: `'legacy.*'`. */
  readonly except?: readonly string[];
  /** Columns whose values are written as `***`, by table: `{ 'clinic.users': ['password_hash'] }`. */
  readonly redact?: Readonly<Record<string, readonly string[]>>;
  /** Columns that are not written at all, and whose change alone is no change: `{ 'clinic.users': ['last_seen_at'] }`. */
  readonly ignore?: Readonly<Record<string, readonly string[]>>;
  /** What an UPDATE writes of the row before and after: only the changed columns (the default), or all of them. */
  readonly data?: 'changed' | 'whole';
  /**
   * Each entry holds the hash of the one before, so that `verify-audit-log` finds what somebody has changed or removed in
   * spite of the triggers. Writers wait for each other until they commit: `false` by default.
   */
  readonly hashChain?: boolean;
  /** Months that the log is kept; for ever by default. */
  readonly retentionMonths?: number;
}

export interface AuditPackConfiguration {
  readonly kind: 'manage_db.audit-pack';
  readonly settings: AuditPackSettings;
}

/**
 * Audits the tables of the workspace, exported by one `*.trigger.ts` file. Without it nothing is audited.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION` at the next apply, for tables that are not written `schema.table`
 * @example
 * export default configureAuditPack({
 *   except: ['legacy.*'],
 *   redact: { 'clinic.users': ['password_hash'] },
 *   ignore: { 'clinic.users': ['last_seen_at'] },
 *   retentionMonths: 120,
 * });
 */
export function configureAuditPack(settings: AuditPackSettings = {}): AuditPackConfiguration {
  return { kind: 'manage_db.audit-pack', settings };
}

export function isAuditPackConfiguration(value: unknown): value is AuditPackConfiguration {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'manage_db.audit-pack';
}
