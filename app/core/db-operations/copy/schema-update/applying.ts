import type { OperationControls } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import type { SafetyBackup } from '../../backup/safety-backup.js';
import type { DefinitionDifference } from '../../compare/found-difference.js';
import type { StillAlone } from '../../scratch/keep-others-out.js';
import type { LockPatience } from '../../trigger-work/in-trigger-transaction.js';
import type { SchemaUpdatePlan } from './plan.js';

export interface ApplyingUpdate {
  readonly target: Target;
  readonly plan: SchemaUpdatePlan;
  readonly allowDataLoss: boolean;
  readonly patience: LockPatience;
  readonly safety: SafetyBackup;
  readonly stillAlone: StillAlone;
  readonly controls: OperationControls;
}

export interface AppliedUpdate {
  readonly statements: number;
  readonly losses: readonly string[];
  readonly remaining: readonly DefinitionDifference[];
  readonly warnings: readonly string[];
}

/** What one attempt does. */
export interface Attempt {
  /** `labels`: only those that have to be committed before the rest. `rest`: those are. */
  readonly part: 'all' | 'labels' | 'rest';
  readonly searchPath: string | null;
  readonly lockTimeoutMs: number;
}
