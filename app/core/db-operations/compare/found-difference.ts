import type { FactBase, StableId } from '@supabase/pg-delta';
import type { DefinitionDetail } from '../../../database/catalog/definition-details.js';

export type DifferenceState = 'only_in_from' | 'only_in_to' | 'different';

export interface DefinitionDifference {
  /** In PostgreSQL's words: `table`, `column`, `text search configuration`, `grants`, … */
  readonly kind: string;
  /** `null`: it is in no schema. */
  readonly schema: string | null;
  /** To be read, quoted as SQL wants it: `clinic.patients.email`, `note_email on clinic.users`. */
  readonly name: string;
  readonly state: DifferenceState;
  /** Whether it is there, or not, because what it belongs to is. */
  readonly isPart: boolean;
  /** What differs; empty where one side does not have it. */
  readonly changes: readonly PropertyChange[];
  /** Whether the DDL covers all of it. */
  readonly hasDdl: boolean;
}

export interface PropertyChange {
  /** `type`, `definition`, `owner`, … */
  readonly property: string;
  /** `null`: as by default, or not to be shown. */
  readonly from: unknown;
  readonly to: unknown;
}

export interface ComparedDefinitions {
  readonly from: FactBase;
  readonly to: FactBase;
  readonly fromDetails: readonly DefinitionDetail[];
  readonly toDetails: readonly DefinitionDetail[];
}

/** A difference that is being put together. */
export interface Found extends Omit<DefinitionDifference, 'changes' | 'hasDdl'> {
  readonly id: StableId | null;
  readonly changes: PropertyChange[];
  /** What it belongs to; of a partition's index or constraint, that of the partitioned table. */
  readonly of: string | null;
  /** What it depends on in one of the two only. */
  readonly depends: { readonly from: StableId[]; readonly to: StableId[] };
  hasDdl: boolean;
}

/** What pg-delta tells objects apart by. */
export type Encode = (id: StableId) => string;
