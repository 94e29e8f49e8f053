import type { SqlSource } from '../../../../services/sql-script.js';

/** What becomes of a function, procedure, trigger or view when a migration is applied. */
export interface LiveDifference {
  readonly kind: 'function' | 'procedure' | 'trigger' | 'view';
  /** `clinic.touch(integer)`, `note_email on clinic.users` */
  readonly object: string;
  /** `changed_by_hand`: what is there is not what was installed, and the migration overwrites it. */
  readonly state: 'new' | 'unchanged' | 'changed' | 'changed_by_hand';
  /** Unified, from what is there to what the migration makes; empty for what is new or unchanged. */
  readonly patch: string;
  /** Both sides are printed by the server. If not, they may differ in their wording only. */
  readonly isExact: boolean;
  /** The pack of triggers that answers for it; `null`: none does. */
  readonly managedBy: string | null;
  /** What else there is to know, in sentences. */
  readonly remarks: readonly string[];
  /** It is dropped before, although OR REPLACE would do. */
  readonly isUnsafe: boolean;
  /** Absolute. */
  readonly file: string;
  readonly line: number;
}

/** A DROP of what is there and is made again in the same run, although OR REPLACE would do. */
export interface UnsafeReplacement {
  readonly kind: LiveDifference['kind'];
  readonly object: string;
  /** Of the DROP. */
  readonly source: SqlSource;
  readonly offset: number;
  readonly statement: string;
  /** The statement that does it in one. */
  readonly rewrite: string;
  /** Where it is made again. */
  readonly made: { readonly file: string; readonly line: number };
}

export interface LiveDifferences {
  readonly differences: readonly LiveDifference[];
  readonly unsafe: readonly UnsafeReplacement[];
  /** Files that the parser could not read: what they make is not known. */
  readonly unread: readonly string[];
}
