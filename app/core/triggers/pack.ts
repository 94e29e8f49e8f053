import type { Queryable } from '../../database/queryable.js';
import type { TriggerDeclaration } from './declaration.js';
import type { Skipped } from './skipped.js';

/** A function that is written for a table as it is now. */
export interface GeneratedFunction {
  readonly schema: string;
  readonly name: string;
  readonly sql: string;
}

/** What a pack declares about the tables that it has found. */
export interface GeneratedTriggers {
  /** Why nothing may be applied: settings about tables or columns that there are not, tables that are somebody else's. */
  readonly problems: readonly string[];
  /** What is not as it should be, and why: no reason to apply nothing. */
  readonly skipped: readonly Skipped[];
  /** What has to be executed first; empty where it is in place. */
  readonly setup: readonly string[];
  /** Whether `setup` makes everything for the first time: then it locks nobody out, and belongs to what it is for. */
  readonly isNew: boolean;
  /** What is executed before and after `functions`, where any of them is installed. */
  readonly aroundFunctions: { readonly before: readonly string[]; readonly after: readonly string[] };
  readonly functions: readonly GeneratedFunction[];
  readonly declarations: readonly TriggerDeclaration[];
}

/** Declarations that belong together, with the files of their functions. */
export interface TriggerPack extends Partial<Omit<GeneratedTriggers, 'declarations'>> {
  readonly name: string;
  /** Absolute paths, one function a file, the file named after it. */
  readonly functionFiles: readonly string[];
  /** Where functions without a schema of their own are created and looked for. */
  readonly functionSchema: string;
  readonly declarations: readonly TriggerDeclaration[];
  /** Only reads. `tables`: the oids of those that are asked about, or all. */
  readonly generate?: (db: Queryable, tables: readonly number[] | null) => Promise<GeneratedTriggers>;
  /** Only reads: what the tables of the pack need before anything is applied, in a transaction of its own. */
  readonly preparation?: (db: Queryable) => Promise<readonly string[]>;
  /** Only reads: what is to be executed once everything is applied, in a transaction of its own; empty where nothing is. */
  readonly maintenance?: (db: Queryable) => Promise<readonly string[]>;
}

/** Those of `packs` that are asked for: that of this name, or all. */
export function coveredPacks(packs: readonly TriggerPack[], name: string | undefined): readonly TriggerPack[] {
  return name === undefined ? packs : packs.filter((pack) => pack.name === name);
}

export const DEFAULT_FUNCTION_SCHEMA = 'public';

/** `packs` with what they declare about the tables of `db`. Under an empty search_path. */
export async function withGenerated(
  db: Queryable,
  packs: readonly TriggerPack[],
  tables: readonly number[] | null,
): Promise<readonly TriggerPack[]> {
  const all: TriggerPack[] = [];
  for (const pack of packs) all.push({ ...pack, ...(await pack.generate?.(db, tables)) });
  return all;
}
