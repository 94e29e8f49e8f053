import type { TriggerMode } from '../../database/catalog/live-triggers.js';
import type { InstalledTrigger, TriggerTarget } from '../../database/catalog/trigger-targets.js';
import type { RegisteredTrigger } from '../../database/records/trigger-registry.js';
import type { TriggerDeclaration } from './declaration.js';
import type { DeclaredState } from './declared-state.js';
import type { TriggerPack } from './pack.js';
import type { Skipped } from './skipped.js';

export type { Skipped, SkippedFunction } from './skipped.js';

/** Which part of the declared triggers is wanted. */
export interface TriggerFilter {
  readonly environment: string;
  readonly schema?: string;
  /** `'users'` in any schema, or `'clinic.users'`. */
  readonly table?: string;
}

/** Whether something on a table belongs to that part. */
export function isInFilter(
  found: { readonly schema: string; readonly table: string },
  { schema, table }: Pick<TriggerFilter, 'schema' | 'table'>,
): boolean {
  if (schema !== undefined && found.schema !== schema) return false;
  return table === undefined || found.table === table || `${found.schema}.${found.table}` === table;
}

/** A declared trigger on one table, with what is there. */
export interface UndecidedTrigger {
  readonly declaration: TriggerDeclaration;
  readonly pack: TriggerPack;
  readonly target: TriggerTarget;
  readonly function: { readonly oid: number; readonly schema: string; readonly name: string };
  readonly installed: InstalledTrigger | null;
  readonly registered: RegisteredTrigger | null;
  readonly state: DeclaredState;
  readonly checksum: string;
  /** The mode that it shall have; what somebody has chosen on purpose is kept. */
  readonly wantedMode: TriggerMode;
}

/** With what is to be done about it. */
export interface PlannedTrigger extends UndecidedTrigger {
  /** `recreate`: a constraint trigger, which PostgreSQL cannot replace, is dropped and created. */
  readonly action: 'create' | 'replace' | 'recreate' | 'unchanged';
  /** Whether it must be given {@link UndecidedTrigger.wantedMode}, on partitions too; else modes stay as they are. */
  readonly setsMode: boolean;
}

/** A trigger that a pack has generated once, and would not any more. */
export interface PlannedRemoval {
  readonly target: TriggerTarget;
  readonly name: string;
}

export interface TriggerPlan {
  readonly triggers: readonly PlannedTrigger[];
  readonly removals: readonly PlannedRemoval[];
  readonly skipped: readonly Skipped[];
}

export interface TriggerRef {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
}

/** One text for one trigger. */
export function keyOf({ schema, table, name }: TriggerRef): string {
  return JSON.stringify([schema, table, name]);
}
