/** What `import … from 'manage_db'` gives. Nothing else is public. */

export { defineConfig, type ManageDbConfig } from './config/config-file.js';
export type {
  ConnectionSettings,
  HostAddress,
  PoolSettings,
  SslMode,
  SslSettings,
  TargetSessionAttrs,
} from './config/connection-settings.js';
export type { AfterCopyHook, CopiedDatabase, QuarantineKind, QuarantineValue } from './config/copy-settings.js';
export {
  type ConfigOptions,
  type ConfigReport,
  type ConfigValue,
  describeConfig,
  type EnvironmentConfig,
  getConfig,
  getDatabaseUrl,
  getDatabaseUrlForEnv,
  onConfigChange,
  reloadConfig,
} from './config/db-config.js';
export type { ConfirmationParts, KillSwitchEvent, TimeWindow } from './config/kill-switch-settings.js';
export { redact } from './config/redaction.js';
export { SECURITY_SETTINGS, type SecuritySettings } from './config/settings.js';
export { getWorkspace, type Workspace } from './config/workspace.js';
export {
  type AuditCoverage,
  type AuditedTable,
  type AuditFinding,
  auditCoverage,
  type VerifiedAuditLog,
  verifyAuditLog,
} from './core/db-operations/audit-log.js';
export {
  type BackupFormat,
  type BackupOptions,
  type BackupResult,
  type BackupState,
  type BackupSummary,
  type BackupVerification,
  backupDatabase,
  type Manifest,
} from './core/db-operations/backup.js';
export {
  type BaselineOptions,
  type BaselineResult,
  baselineMigrations,
} from './core/db-operations/baseline-migrations.js';
export {
  type ComparedContents,
  type ComparedDatabases,
  type ComparedLargeObjects,
  type ComparedSequence,
  type ComparedSide,
  type ComparedTable,
  type CompareOptions,
  compareDatabases,
  type DdlScript,
  type DdlStatement,
  type DefinitionDifference,
  type DifferenceState,
  type LargeObjectDifference,
  type NotCompared,
  type PropertyChange,
  type SequenceValue,
  type TableContent,
} from './core/db-operations/compare.js';
export { defineMasking, type MaskingFile } from './core/db-operations/copy/masking/rules.js';
export type {
  SchemaUpdated,
  SchemaUpdatePlan,
  StatementRisk,
  UpdateLock,
  UpdateStatement,
} from './core/db-operations/copy/schema-update.js';
export {
  type CopiedPart,
  type CopiedTableRows,
  type CopyOptions,
  type CopyPlan,
  type CopyResult,
  type CopyStrategy,
  copyDatabase,
  type Expectation,
  type Quarantined,
  type QuarantinedObject,
  type RanHook,
} from './core/db-operations/copy.js';
export {
  type CreatedMigration,
  type CreateMigrationOptions,
  createMigration,
  type DestructiveStatement,
  type WrittenMigration,
} from './core/db-operations/create-migration.js';
export { type Diagnosis, runDoctor } from './core/db-operations/doctor.js';
export { type InitResult, initWorkspace } from './core/db-operations/init-workspace.js';
export { type InitializeOptions, type InitializeResult, initDb } from './core/db-operations/initialize.js';
export {
  type FiringOrder,
  type InspectedDatabase,
  type InspectedDiagram,
  type InspectedRelation,
  type InspectedTable,
  type InspectedTrigger,
  type InspectOptions,
  type InspectResult,
  inspectDb,
} from './core/db-operations/inspection.js';
export {
  type Engagement,
  type EngageOptions,
  engageKillSwitch,
  type KillSwitchStatus,
  killSwitchStatus,
  releaseKillSwitch,
} from './core/db-operations/kill-switch.js';
export {
  type Blocks,
  type LintedStatement,
  type LintFinding,
  type LintOptions,
  type LintResult,
  lintMigrations,
  type Severity,
} from './core/db-operations/lint-migrations.js';
export { type ListBackupsOptions, listBackups } from './core/db-operations/list-backups.js';
export type { ResetResult } from './core/db-operations/maintenance/reset.js';
export {
  type Check,
  type CheckStatus,
  checkDb,
  type DroppedObject,
  dropAllTables,
  type ResetOptions,
  resetDb,
} from './core/db-operations/maintenance.js';
export {
  type CheckedMasking,
  type CheckMaskingOptions,
  checkMasking,
  type InitMaskingOptions,
  initMasking,
  type ProposedMasking,
} from './core/db-operations/masking.js';
export type { LiveDifference } from './core/db-operations/migration/live-differences/live-difference.js';
export type { Loss, LossKind } from './core/db-operations/migration/losses/loss.js';
export type { MigrationDb } from './core/db-operations/migration/module-migration.js';
export type { SchemaSnapshot } from './core/db-operations/migration/schema-snapshot/write-schema-snapshot.js';
export type { TestSelection } from './core/db-operations/migration/test/run-tests.js';
export {
  type ApplyMigrationOptions,
  applyMigration,
  type MigrationPlan,
  type MigrationRun,
  type MigrationRunOptions,
  type PlannedMigration,
  type RanMigration,
  redoMigration,
  rollbackMigration,
} from './core/db-operations/migrations.js';
export {
  type LogFinding,
  type LoggedOperation,
  type OperationEvent,
  type ShownOperationLog,
  type ShowOperationLogOptions,
  showOperationLog,
  type VerifiedOperationLog,
  verifyOperationLog,
} from './core/db-operations/operation-log.js';
export {
  type PlannedBackup,
  type PlannedPruning,
  type PlanPruningOptions,
  type PruneBackupsOptions,
  type PruneBackupsResult,
  type PrunedEnvironment,
  planPruning,
  pruneBackups,
  type RetentionRules,
} from './core/db-operations/prune-backups.js';
export {
  type BuiltIndex,
  type ChangedRows,
  type CopyOrigin,
  type NewDrift,
  type Rehearsal,
  type RehearsalOrigin,
  type RehearsalReport,
  type RehearsedLock,
  type RehearsedMigration,
  type RehearsedRollback,
  type RehearseOptions,
  type RewrittenTable,
  rehearseMigrations,
  type SchemaDifference,
  type StepFailure,
} from './core/db-operations/rehearse-migrations.js';
export type { InPlaceResult } from './core/db-operations/restore/in-place.js';
export { type RestoreOptions, type RestoreResult, restoreDatabase } from './core/db-operations/restore.js';
export {
  type DbRoleResult,
  type GrantDbRoleOptions,
  grantDbRole,
  type RevokeDbRoleOptions,
  revokeDbRole,
  type SetupDbRolesOptions,
  type SetupDbRolesResult,
  setupDbRoles,
  type WhoamiResult,
  whoami,
} from './core/db-operations/roles.js';
export { type ShowBackupOptions, type ShownBackup, showBackup } from './core/db-operations/show-backup.js';
export {
  type InPlace,
  type MigrationCounts,
  type MigrationEnvironment,
  type MigrationMatrix,
  type MigrationRow,
  type MigrationState,
  type ShowMigrationsEverywhereOptions,
  type ShownMigration,
  type ShownMigrations,
  showMigrations,
  showMigrationsEverywhere,
} from './core/db-operations/show-migrations.js';
export { type StampOptions, type StampResult, stampDatabase } from './core/db-operations/stamp.js';
export {
  type FoundDifference,
  type TestedMigration,
  type TestedMigrations,
  type TestedStep,
  type TestFileResult,
  type TestMigrationsOptions,
  testMigrations,
} from './core/db-operations/test-migrations.js';
export {
  type DroppedTrigger,
  disableTrigger,
  dropTrigger,
  type EnableTriggerOptions,
  enableTrigger,
  type SwitchedTrigger,
  type TriggerMode,
  type TriggerOptions,
} from './core/db-operations/trigger-control.js';
export {
  type DiffTriggersOptions,
  diffTriggers,
  type ListedTriggers,
  type ListTriggersOptions,
  listTriggers,
  type TriggerDiff,
  type VerifiedTriggers,
  type VerifyTriggersOptions,
  verifyTriggers,
} from './core/db-operations/trigger-drift.js';
export { TriggerRegistry } from './core/db-operations/trigger-registry.js';
export {
  type FunctionCheck,
  type TestedEvent,
  type TestedTrigger,
  type TestState,
  type TestTriggersOptions,
  type TestTriggersResult,
  testTriggers,
} from './core/db-operations/trigger-test.js';
export { type ApplyTriggersOptions, applyBaseTriggers, applyTriggers } from './core/db-operations/triggers.js';
export {
  type ListedPreviousDatabases,
  listPreviousDatabases,
  type PreviousDatabase,
  type UndoneRestore,
  type UndoRestoreOptions,
  undoCopy,
  undoRestore,
} from './core/db-operations/undo-restore.js';
export {
  type BackupCheck,
  type VerifiedBackup,
  type VerifyBackupOptions,
  verifyBackup,
} from './core/db-operations/verify-backup.js';
export {
  currentEnv,
  type DiscoveredEnvironment,
  discover,
  type EnvironmentCandidate,
  type EnvironmentChange,
  isDevelopment,
  isProduction,
  isTesting,
  setEnvironment,
  withEnvironment,
} from './core/environment.js';
export { normalizeEnv } from './core/environment-names.js';
export { type ErrorCode, EXIT, type ExitCode, ManageDbError, PermissionError } from './core/errors.js';
export { LEVELS, type Level } from './core/levels.js';
export type { OperationControls, ProgressEvent } from './core/progress.js';
export type { AskConsent, Consent, ConsentQuestion } from './core/safety/consent.js';
export type { OperationOptions, Target } from './core/safety/gate.js';
export { type KillSwitchOverride, withKillSwitchOverride } from './core/safety/override.js';
export type { Ancestor, Stamp, StampState } from './core/safety/stamp.js';
export type { ApplyTriggersResult } from './core/triggers/apply.js';
export { type AuditPackSettings, configureAuditPack } from './core/triggers/audit/audit-pack-settings.js';
export { type BasePackSettings, configureBasePack } from './core/triggers/base-pack-settings.js';
export { defineTrigger, type TriggerDeclaration, type TriggerSpec } from './core/triggers/declaration.js';
export { type EveryTable, type EveryTableSpec, everyTable } from './core/triggers/every-table.js';
export {
  configureSecurityPack,
  type LockoutSettings,
  type PasswordSettings,
  type SecurityPackSettings,
  type SessionSettings,
} from './core/triggers/security-pack-settings.js';
export type { HashFormat } from './core/triggers/security-policy.js';
export type { Difference, DriftState, TriggerReport } from './core/triggers/trigger-report.js';
export type { Queryable } from './database/queryable.js';
export { currentActor, withActor } from './services/actor.js';
export { connectTo } from './services/connection/engine.js';
export {
  closeEngines,
  type DbSession,
  getDbEngine,
  getDbSession,
  type SessionOptions,
  useNestedTransactions,
} from './services/database-service.js';
export { type DebugSink, setDebugMode } from './services/debug-mode.js';
export {
  type EmbeddedServer,
  type EmbeddedStatus,
  embeddedServerStatus,
  type StartOptions,
  type StoppedServer,
  startEmbeddedServer,
  stopEmbeddedServer,
} from './services/embedded-postgres.js';
export { getDetachedCopy, getEntityDict } from './services/entities.js';
export { defineEntity, type Entity, type EntityDefinition, type EntityKey } from './services/entity-gateway.js';
export {
  beforeInsert,
  beforeUpdate,
  type EntityListener,
  type EntityValues,
  type ListenerContext,
  onListenerError,
} from './services/entity-listeners.js';
export { type ApplicationEnvironment, setupEnvironment } from './services/setup-environment.js';
export { type EntityMixin, timestampMixin } from './services/timestamp-mixin.js';
