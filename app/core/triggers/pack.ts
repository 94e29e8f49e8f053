import type { TriggerDeclaration } from './declaration.js';

/** Declarations that belong together, with the files of their functions. */
export interface TriggerPack {
  readonly name: string;
  /** Absolute paths, one function a file, the file named after it. */
  readonly functionFiles: readonly string[];
  /** Where functions without a schema of their own are created and looked for. */
  readonly functionSchema: string;
  readonly declarations: readonly TriggerDeclaration[];
}

export const DEFAULT_FUNCTION_SCHEMA = 'public';
