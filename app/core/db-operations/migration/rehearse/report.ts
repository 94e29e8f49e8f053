import type { RelationLock } from '../../../../database/catalog/relation-locks.js';
import type { TriggerReport } from '../../../triggers/trigger-report.js';
import type { SchemaDifference } from '../trial/schema-state.js';
import type { StepFailure } from '../trial/try-step.js';

export const REHEARSAL_ORIGINS = ['template', 'backup', 'stream'] as const;

/**
 * What a scratch copy is made from. `template`: the server copies the files of the database, which nobody else may be in;
 * `backup`: the latest one is restored; `stream`: its rows are read, in one snapshot.
 */
export type RehearsalOrigin = (typeof REHEARSAL_ORIGINS)[number];

export interface CopyOrigin {
  readonly from: RehearsalOrigin;
  /** Why that one, in a sentence. */
  readonly because: string;
  /** ISO: the moment of the database that the copy shows, to the second of the beginning of a backup. */
  readonly at: string;
  /** The id of the backup. */
  readonly backup: string | null;
}

/** The strongest lock that a migration has taken on something that was there before it. */
export interface RehearsedLock {
  readonly schema: string;
  readonly name: string;
  readonly lock: RelationLock;
  /** Who waits for as long as the migration runs, in words. */
  readonly blocks: string;
}

/** A table whose rows were all written anew, while it was locked against everybody. */
export interface RewrittenTable {
  readonly schema: string;
  readonly name: string;
  /** That are in it now: 0 where it was emptied. */
  readonly rows: number;
  /** Without its indexes. */
  readonly bytes: number;
}

/** An index that was built over rows that were there before. */
export interface BuiltIndex {
  readonly schema: string;
  readonly name: string;
  readonly table: string;
  readonly bytes: number;
  /** It was there before, and was built again. */
  readonly isAgain: boolean;
}

/** By INSERT, UPDATE and DELETE; a rewrite does not count. */
export interface ChangedRows {
  readonly schema: string;
  readonly name: string;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** What going down and up again has shown. */
export interface RehearsedRollback {
  /**
   * `clean`: down and up again, and everything that was compared is as it was: definitions, and of tables the rows and values; `unclean`: it is not; `failed`: one of them failed; `irreversible`: the
   * file has no way down; `not_tried`: another migration was in the way.
   */
  readonly state: 'clean' | 'unclean' | 'failed' | 'irreversible' | 'not_tried';
  readonly downMs: number | null;
  readonly upAgainMs: number | null;
  /** Between what was before the migration and what is after its rollback; also `rows` and `values` that are not the same. */
  readonly afterDown: readonly SchemaDifference[];
  /** Between what it made the first time and what it made the second time. */
  readonly afterUpAgain: readonly SchemaDifference[];
  readonly failure: StepFailure | null;
}

export interface RehearsedMigration {
  readonly version: string;
  readonly name: string;
  /** Of its file. */
  readonly checksum: string;
  /** `not_run`: one before it failed. */
  readonly state: 'applied' | 'failed' | 'not_run';
  readonly durationMs: number | null;
  readonly failure: StepFailure | null;
  readonly locks: readonly RehearsedLock[];
  /** The migration is not one transaction: its locks were looked at every few milliseconds, and a short one may be missing. */
  readonly areLocksSampled: boolean;
  readonly rewritten: readonly RewrittenTable[];
  readonly indexes: readonly BuiltIndex[];
  /** `null` where it is not one transaction, and PostgreSQL does not say. */
  readonly changedRows: readonly ChangedRows[] | null;
  readonly rollback: RehearsedRollback;
}

/** A trigger that is not as it should be, and was before the migrations. */
export interface NewDrift extends Pick<TriggerReport, 'schema' | 'table' | 'name' | 'state' | 'recommendation'> {
  /** `null`: it was not there. */
  readonly before: TriggerReport['state'] | null;
}

export interface RehearsalReport {
  readonly version: 1;
  /** `20261121T033400Z-ab12cd` */
  readonly id: string;
  readonly environment: string;
  readonly database: string;
  readonly serverVersion: string | null;
  /** ISO. */
  readonly rehearsedAt: string;
  readonly durationMs: number;
  /** Which database this is about, and what was applied in it: see `fingerprintOf`. */
  readonly fingerprint: string;
  readonly origin: CopyOrigin;
  /**
   * `clean`: all were applied, and those that can be rolled back went down and up again without a trace in what was compared (what was not, is in the warnings); `unclean`: a rollback leaves
   * something behind, or fails; `failed`: one could not be applied.
   */
  readonly outcome: 'clean' | 'unclean' | 'failed';
  readonly migrations: readonly RehearsedMigration[];
  /** `null` where nobody could look. */
  readonly newDrift: readonly NewDrift[] | null;
  readonly warnings: readonly string[];
  /** SHA-256 over everything above. */
  readonly checksum: string;
}
