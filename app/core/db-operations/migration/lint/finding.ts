import type { LockMode, NamedRelation, StatementLock } from '../../../../services/sql-script.js';

/** From the harmless to the grave. */
export const SEVERITIES = ['notice', 'warning', 'error'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Who waits while the lock is held. */
export type Blocks = 'reads and writes' | 'writes' | 'nothing';

/**
 * What a statement has to do while it holds its lock: nothing to speak of, read the whole table, read it and write an index,
 * write it anew, change many rows; `unknown` where that is up to others; `none` for what is not about time.
 */
export type Cost = 'instant' | 'scan' | 'index' | 'rewrite' | 'rows' | 'unknown' | 'none';

/** One thing that is dangerous about a migration, or against the rules. */
export interface LintFinding {
  /** Absolute. */
  readonly file: string;
  readonly direction: 'up' | 'down';
  /** From 1, as are columns, in characters. */
  readonly line: number;
  readonly column: number;
  /** `squawk/…` for those of squawk. */
  readonly rule: string;
  readonly severity: Severity;
  /** In PostgreSQL's words; `null` where no lock is the matter. */
  readonly lock: LockMode | null;
  readonly blocks: Blocks;
  /** With its schema where that is known; `null` where none is named. */
  readonly table: string | null;
  /** The planner's estimate; `null`: not known. */
  readonly tableRows: number | null;
  /** With TOAST and without indexes; `null`: not known. */
  readonly tableBytes: number | null;
  /** How long the lock is held, in words; `null` where time is not the matter. */
  readonly estimate: string | null;
  /** Milliseconds, and no more than an order of magnitude: see `estimate.ts`. `null`: not known. */
  readonly estimateMs: number | null;
  readonly message: string;
  /** SQL that does it safely; `null`: there is none, or it is up to a person. */
  readonly rewrite: string | null;
}

/** What a statement locks by name. */
export interface LintedStatement {
  readonly file: string;
  readonly direction: 'up' | 'down';
  readonly line: number;
  /** Its first words. */
  readonly kind: string;
  readonly locks: readonly { readonly table: string; readonly kind: StatementLock['kind']; readonly mode: LockMode }[];
}

/** What a rule says about a statement; what follows from its locks and from the live table is added later. */
export interface Hit {
  readonly rule: string;
  readonly severity: Severity;
  readonly cost: Cost;
  readonly message: string;
  readonly rewrite: string | null;
  /** The table that it is about; the one with the strongest lock where absent, and none where `null`. */
  readonly table?: NamedRelation | null;
  /** The lock that it is about, where it is not one of the statement's own. */
  readonly lock?: LockMode;
}

/** `schema.name`, as it is written in SQL. */
export function sqlName({ schema, name }: NamedRelation): string {
  return [schema, name]
    .filter((part) => part !== null)
    .map(quoted)
    .join('.');
}

/** In quotes only where it needs them. */
export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
