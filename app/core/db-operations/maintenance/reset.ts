import { getWorkspace } from '../../../config/workspace.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { explained } from '../failure.js';
import type { InitializeResult } from '../initialize.js';
import { type DroppedObject, dropAllObjects } from './drop-all.js';

export interface ResetOptions {
  /** Whether to load the workspace's seed data afterwards. */
  readonly seed?: boolean | undefined;
}

export interface ResetResult {
  readonly dropped: readonly DroppedObject[];
  readonly initialized: InitializeResult;
}

/**
 * Drops everything, then builds it anew; it is the raw work of `reset-database`, without the gate. The migrations are
 * read before anything is dropped: a file that is wrong must not cost a database.
 */
export async function resetDatabase(target: Target, options: ResetOptions & OperationControls): Promise<ResetResult> {
  // Loaded here: check-database and drop-all-tables, which are in the same module, need nothing of it.
  const { initializeDatabase } = await import('../initialize.js');
  const { readMigrations } = await import('../migration/migration-files.js');
  readMigrations((await getWorkspace()).migrationsDir);
  const dropped = target.exists ? await dropAllObjects(target, options) : [];
  try {
    return { dropped, initialized: await initializeDatabase(target, options) };
  } catch (error) {
    throw explained(error, 'The database had been emptied before; initialize-db goes on from here.', options.signal);
  }
}
