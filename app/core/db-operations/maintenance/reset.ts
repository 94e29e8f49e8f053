import { getWorkspace } from '../../../config/workspace.js';
import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { explained } from '../failure.js';
import type { InitializeResult } from '../initialize.js';
import { type DropOptions, type DropResult, dropAllObjects } from './drop-all.js';

export interface ResetOptions {
  /** Whether to load the workspace's seed data afterwards. */
  readonly seed?: boolean | undefined;
}

export interface ResetResult extends DropResult {
  readonly initialized: InitializeResult;
}

interface ResetRequest extends ResetOptions, OperationControls, Pick<DropOptions, 'stillAlone'> {}

/** Of a database that is not there. */
const NOTHING: DropResult = { dropped: [], largeObjects: 0, safetyBackup: null, undo: null, warnings: [] };

/**
 * Backs up and drops everything, then builds it anew; it is the raw work of `reset-database`, without the gate. What is
 * built from is read before anything is dropped: a file that is wrong must not cost a database.
 */
export async function resetDatabase(target: Target, options: ResetRequest): Promise<ResetResult> {
  // Loaded here: check-database and drop-all-tables, which are in the same module, need nothing of it.
  const { initializeDatabase } = await import('../initialize.js');
  const { readMigrations } = await import('../migration/migration-files.js');
  const { checkSteps } = await import('../migration/check-steps.js');
  const { readPacks } = await import('../trigger-work/packs.js');
  const migrations = (await readMigrations((await getWorkspace()).migrationsDir)) ?? [];
  await checkSteps(migrations.map((migration) => ({ migration, direction: 'up' })));
  await readPacks();
  const emptied = target.exists ? await dropAllObjects(target, { ...options, operation: 'reset-database' }) : NOTHING;
  try {
    return { ...emptied, initialized: await initializeDatabase(target, options) };
  } catch (error) {
    // there was nothing that could have been dropped
    if (emptied.safetyBackup === null) throw error;
    const sentence = `The database had been emptied before; initialize-db goes on from here. What it was comes back with: ${emptied.undo}`;
    throw explained(error, sentence, options.signal);
  }
}
