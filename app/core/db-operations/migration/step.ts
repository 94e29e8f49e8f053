import type { Client } from 'pg';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../config/migration-settings.js';
import type { OperationControls } from '../../progress.js';
import type { Direction, History } from './history.js';
import type { Migration } from './migration-files.js';

/** One migration in one direction. */
export interface MigrationStep {
  readonly migration: Migration;
  readonly direction: Direction;
}

/** A step that was done. */
export interface RanMigration {
  readonly version: string;
  readonly name: string;
  readonly direction: Direction;
  readonly durationMs: number;
  /** More than one: before that, it did not get its locks. */
  readonly attempts: number;
}

export interface RunOptions extends OperationControls {
  /** Another database of the same server, such as a scratch one. */
  readonly database?: string;
  /** How long one attempt waits for a lock, in milliseconds; 2 s by default. What a file says comes first. */
  readonly lockTimeoutMs?: number;
  /** How long it tries to get the locks of one migration, all attempts together; 60 s by default. */
  readonly lockBudgetMs?: number;
  /** How long it waits for other runners; 10 minutes by default. */
  readonly runnerWaitMs?: number;
  /** What a statement counts as of which nobody can tell whether a killed runner has finished it; refused by default. */
  readonly unknownStatement?: 'done' | 'again' | undefined;
  /** Told whenever the records were read: at first, and when another runner has changed them. Throws to refuse. */
  readonly onHistory?: (history: History) => void;
  /** Called in the open transaction of each transactional migration, after its statements and before its record. */
  readonly beforeRecord?: (client: Client, step: MigrationStep) => Promise<void>;
  /** Told as soon as something was committed that a rollback of ours no longer takes back. */
  readonly onCommitted?: (() => void) | undefined;
  readonly onRan?: (ran: RanMigration) => void | Promise<void>;
  /** Told what somebody has to know though nothing has failed, in a sentence. */
  readonly onWarning?: ((warning: string) => void) | undefined;
}

/** What the parts of a run share. */
export interface RunContext {
  readonly settings: ConnectionSettings;
  /** The session that executes the migrations, with the application's settings. */
  readonly client: Client;
  readonly options: RunOptions;
  readonly serverMajor: number;
  /** Of the session; `null` behind a pooler, where it may be another one for each transaction. */
  readonly backend: Backend | null;
  /** Whether a file and all that belongs to it may go in one round trip; no longer once somebody else is at it. */
  isQuick: boolean;
  /** Whether something was committed that may not be on the disk yet. */
  isAhead: boolean;
  /** Whether the server can notice while it works that a program is gone. */
  readonly noticesLoss: boolean;
}

/** A process of the server: its number may be given again. */
export interface Backend {
  readonly pid: number;
  readonly startedAt: string;
}

export const RUNNER_WAIT_MS = 600_000;

/** How long one attempt at `step` waits for a lock. */
export function lockTimeoutOf({ migration }: MigrationStep, { lockTimeoutMs }: RunOptions): number {
  return migration.options.lockTimeoutMs ?? lockTimeoutMs ?? DEFAULT_MIGRATION_SETTINGS.lockTimeoutMs;
}
