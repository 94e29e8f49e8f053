import type { FreeSpace } from '../restore/free-space.js';
import type { SchemaUpdatePlan } from './schema-update.js';

/** What of a database is copied. */
export type CopiedPart = 'all' | 'schema' | 'data';

export const COPY_STRATEGIES = ['stream', 'template'] as const;

/**
 * `stream`: rows flow from server to server, from one snapshot. `template`: the server copies the files of the database
 * itself, which is many times faster, and shuts new connections to the source out while it does.
 */
export type CopyStrategy = (typeof COPY_STRATEGIES)[number];

/** How long a copy will take, as far as that can be said before it. */
export interface Expectation {
  readonly bytes: number;
  readonly durationMs: number;
  /** `history`: by the last copy of this kind; `rule`: by what copies take on small machines. */
  readonly basis: 'history' | 'rule';
}

/** What a copy will be, before anything is changed. */
export interface CopyPlan {
  readonly from: string;
  readonly to: string;
  readonly part: CopiedPart;
  /** `schema-update`: statements on the target itself, which keeps its rows. */
  readonly strategy: CopyStrategy | 'schema-update';
  /** Why that one, in a sentence. */
  readonly because: string;
  /** `null` for a schema update: it depends on what is locked. */
  readonly expected: Expectation | null;
  /** Bytes that are free where the target's server keeps its databases; `'unknown'` where that cannot be seen from here. */
  readonly freeBytes: FreeSpace;
  /** Tables whose rows come along. */
  readonly tables: number;
  /** Tables of the users that stay empty. */
  readonly withoutRows: readonly string[];
  /** By which rules; `null`: as they are. */
  readonly masking: {
    readonly rules: string | null;
    /** SHA-256 of the rules. */
    readonly checksum: string;
    /** Columns that do not come as they are. */
    readonly columns: number;
  } | null;
  /** The statements of a schema update; `null`: the target is replaced. */
  readonly update: SchemaUpdatePlan | null;
  readonly warnings: readonly string[];
}
