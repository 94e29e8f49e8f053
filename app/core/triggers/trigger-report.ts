import type { TriggerMode } from '../../database/catalog/trigger-sql.js';
import type { RegisteredTrigger } from '../../database/records/trigger-registry.js';
import type { TriggerRef } from './planned-trigger.js';

export const DRIFT_STATES = [
  'in_sync',
  'drifted',
  'manual_override',
  'disabled',
  'dropped',
  'unknown',
  'pending',
  'stale',
] as const;

/**
 * `in_sync`: as declared and as installed; `drifted`: the declaration or the file of the function has changed since;
 * `manual_override`: somebody has changed the live trigger or its function by hand; `disabled`: it does not fire, by hand
 * or on purpose; `dropped`: it is gone; `unknown`: not declared, somebody else's; `pending`: declared, and not registered; `stale`: the table
 * has changed since its function was generated.
 */
export type DriftState = (typeof DRIFT_STATES)[number];

/** `null`: there is none. */
export interface Difference {
  readonly field: string;
  readonly expected: string | null;
  readonly actual: string | null;
}

/** What is known about one trigger. */
export interface TriggerReport extends TriggerRef {
  readonly state: DriftState;
  /** Whether something should be done. Not where somebody has disabled it on purpose, nor for what is not ours or is there as declared. */
  readonly isDrift: boolean;
  /** In which sessions it fires; `null`: it is not there. */
  readonly mode: TriggerMode | null;
  /** `null`: nobody has said. */
  readonly wantedMode: TriggerMode | null;
  readonly version: number | null;
  readonly pack: string | null;
  readonly source: RegisteredTrigger['source'] | null;
  readonly function: string;
  readonly differences: readonly Difference[];
  /** What to do, in a sentence. */
  readonly recommendation: string;
}
