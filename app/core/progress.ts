import { ManageDbError } from './errors.js';

/** What long work tells the one who started it. Nothing here prints. */
export interface ProgressEvent {
  /** What is being done, in the present tense: `applying migrations/…_core.sql`. */
  readonly step: string;
  /** How many of `total` are finished; this one is not. */
  readonly done?: number;
  readonly total?: number;
  /** How much of the bytes is done, where that can be known; all of it is an estimate. */
  readonly bytes?: {
    readonly done: number;
    readonly total: number;
    readonly perSecond: number;
    /** `null` until something is done. */
    readonly remainingMs: number | null;
  };
  /** One of very many, such as a table of a dump: worth a glance, not a line of its own. */
  readonly isDetail?: boolean;
}

/** The two things that every long operation accepts. */
export interface OperationControls {
  readonly onProgress?: (event: ProgressEvent) => void;
  readonly signal?: AbortSignal;
}

/**
 * Where work can end without harm.
 *
 * @throws ManageDbError `INTERRUPTED`
 */
export function stopIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ManageDbError('INTERRUPTED', 'Interrupted.');
}
