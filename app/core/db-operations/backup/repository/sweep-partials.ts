import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sweepWorkFolders } from '../../../../services/work-folder.js';
import type { OperationControls } from '../../../progress.js';
import { backupsOf } from './backup-list.js';

/** Milliseconds after which a partial that nobody has signed, and in which nothing has changed, is nobody's. */
const UNSIGNED_MS = 24 * 60 * 60 * 1000;

/**
 * Removes what killed processes have left of backups of an environment that were being made or removed. Whose process
 * lives, and whose cannot be looked up, stays: age says nothing, a large backup takes hours. Returns the ids.
 */
export async function sweepPartials(
  { backupsDir, environment }: { readonly backupsDir: string; readonly environment: string },
  { onProgress, signal }: OperationControls,
): Promise<string[]> {
  await sweepWorkFolders(backupsDir);
  const swept: string[] = [];
  for (const { id, path, state, worker } of await backupsOf(backupsDir, environment)) {
    if (signal?.aborted) break;
    if (state !== 'incomplete') continue;
    if (worker !== 'gone' && !(worker === 'unknown' && (await isForgotten(path)))) continue;
    // somebody else's, or on a file system that has become read-only: no reason not to go on
    const isRemoved = await rm(path, { recursive: true, force: true }).then(
      () => true,
      () => false,
    );
    if (!isRemoved) continue;
    swept.push(id);
    onProgress?.({ step: `removed what a killed process has left of backup ${id}` });
  }
  return swept;
}

async function isForgotten(folder: string): Promise<boolean> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = [folder, ...entries.map((entry) => join(entry.parentPath, entry.name))];
    const times = await Promise.all(paths.map(async (path) => (await stat(path)).mtimeMs));
    return Date.now() - Math.max(...times) > UNSIGNED_MS;
  } catch {
    return false;
  }
}
