import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../../errors.js';
import type * as z from '../../schema.js';
import { STATE_FOLDER, workspaceRoot } from '../../workspace-root.js';

/** Where the workspace keeps what belongs to operation logs: heads, entries that wait and those that were refused. */
export function folderOf(kind: 'heads' | 'pending' | 'refused'): string {
  return join(workspaceRoot(), STATE_FOLDER, 'operation-log', kind);
}

/** The names of complete files in their order; none where there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
      .sort();
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

/** `null`: another process has just replaced or replayed it, or it is not ours to understand. It stays where it is then. */
export function readOwn<T>(file: string, schema: z.ZodMiniType<T>): T | null {
  try {
    return schema.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
