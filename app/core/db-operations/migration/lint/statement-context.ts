import type { NamedRelation, ParsedStatement, StatementLock } from '../../../../services/sql-script.js';
import type { Hit } from './finding.js';
import type { LiveFacts } from './live-facts.js';

/** A statement, and what was before it in the same run. */
export interface StatementContext {
  readonly statement: ParsedStatement;
  readonly locks: readonly StatementLock[];
  /** Of the same part of the file, also those of DO blocks; with what they lock. */
  readonly before: readonly { readonly statement: ParsedStatement; readonly locks: readonly StatementLock[] }[];
  /** Whether the part runs in one transaction. */
  readonly isTransactional: boolean;
  /** Whether an earlier statement of the run has created it: nobody else uses it, and there is nothing in it. */
  readonly isNew: (relation: NamedRelation) => boolean;
  readonly facts: LiveFacts;
  /** Whose database the migrations are for: commands name it. */
  readonly environment: string;
}

export type LintRule = (context: StatementContext) => readonly Hit[];
