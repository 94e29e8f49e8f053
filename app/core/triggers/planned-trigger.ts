import type { InstalledTrigger, TriggerTarget } from '../../database/catalog/trigger-targets.js';
import type { TriggerDeclaration } from './declaration.js';

/** Which part of the declared triggers is wanted. */
export interface TriggerFilter {
  readonly environment: string;
  readonly schema?: string;
  /** `'users'` in any schema, or `'clinic.users'`. */
  readonly table?: string;
}

/** One declared trigger on one table, with what is to be done about it. */
export interface PlannedTrigger {
  readonly declaration: TriggerDeclaration;
  readonly target: TriggerTarget;
  readonly function: { readonly oid: number; readonly schema: string; readonly name: string };
  readonly action: 'create' | 'replace' | 'unchanged';
  readonly installed: InstalledTrigger | null;
}

/** A planned trigger before it was compared. */
export type UndecidedTrigger = Omit<PlannedTrigger, 'action'>;

export interface TriggerPlan {
  readonly triggers: readonly PlannedTrigger[];
  readonly skipped: readonly Skipped[];
}

/** A trigger that was declared and is not applied, and why. `*` where no single schema is meant. */
export interface Skipped {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly reason: string;
}
