import type { OperationOptions, Target } from '../../safety/gate.js';
import type { CheckedStep } from './check-steps.js';
import type { Extent } from './choose-steps.js';
import type { LiveDifference } from './live-differences/live-difference.js';
import type { Loss } from './losses/loss.js';
import type { PlannedMigration, Situation } from './plan.js';
import type { MigrationStep, RanMigration } from './runner.js';
import type { SchemaSnapshot } from './schema-snapshot/write-schema-snapshot.js';

/** What a run of migrations will do, before it does it. */
export interface MigrationPlan {
  readonly database: string;
  /** In this order. */
  readonly migrations: readonly PlannedMigration[];
  /** What is gone afterwards. */
  readonly losses: readonly Loss[];
  /** To the functions, procedures, triggers and views that are there. */
  readonly differences: readonly LiveDifference[];
  /** Whether a backup is made first. */
  readonly needsBackup: boolean;
  readonly warnings: readonly string[];
}

export interface MigrationRunOptions extends OperationOptions, Extent {
  /** How long one attempt waits for a lock, in milliseconds; else what the settings say. */
  readonly lockTimeoutMs?: number | undefined;
  /** How long it tries to get the locks of one migration, in milliseconds; else what the settings say. */
  readonly lockBudgetMs?: number | undefined;
  /** What a statement counts as of which nobody can tell whether a killed run has finished it; refused by default. */
  readonly unknownStatement?: 'done' | 'again' | undefined;
  /** Where the schema is written afterwards, relative to the workspace; `false`: nowhere; else what the settings say. */
  readonly schemaFile?: string | false | undefined;
  /** Told what will be done, before anybody is asked and anything happens. */
  readonly onPlan?: (plan: MigrationPlan) => void;
}

export interface MigrationRun {
  readonly database: string;
  readonly isDryRun: boolean;
  readonly plan: MigrationPlan;
  /** What was done, in this order. */
  readonly ran: readonly RanMigration[];
  /** How many are pending now. */
  readonly pending: number;
  readonly durationMs: number;
  /** Where the schema was written; `null`: nowhere. */
  readonly schemaFile: SchemaSnapshot | null;
  /** Made before anything was rolled back; `null`: none was needed. */
  readonly safetyBackup: string | null;
  /** The command that leads back to before. */
  readonly undo: string | null;
  readonly warnings: readonly string[];
}

export interface RunPolicy {
  /** @throws ManageDbError to refuse */
  readonly choose: (situation: Situation) => readonly MigrationStep[];
  /** What else has to be there. @throws ManageDbError to refuse */
  readonly demand?: (target: Target, situation: Situation, steps: readonly CheckedStep[]) => Promise<void>;
  /** Told whenever another runner has changed the records. @throws ManageDbError to refuse */
  readonly judge?: (situation: Situation) => void;
}

export interface PreparedRun {
  readonly situation: Situation;
  readonly steps: readonly CheckedStep[];
  readonly plan: MigrationPlan;
}
