import { ManageDbError } from '../../../errors.js';
import type { OperationControls } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import { SafetyBackup } from '../../backup/safety-backup.js';
import { explained } from '../../failure.js';

export interface BackedUp<T> {
  readonly result: T;
  readonly safetyBackup: string;
  /** The command that leads back. */
  readonly undo: string;
  readonly warnings: readonly string[];
}

/**
 * Runs `work` after a backup of the target was made. It is kept as soon as something was changed, and removed when `work`
 * fails before that.
 *
 * @param work is given what it calls when something has been committed
 * @throws ManageDbError what making a backup throws; what `work` throws
 * @example
 * const { result, undo } = await withSafetyBackup(target, controls, (noteChange) => runSteps(settings, steps, { onCommitted: noteChange }));
 */
export async function withSafetyBackup<T>(
  target: Target,
  controls: OperationControls,
  work: (noteChange: () => void) => Promise<T>,
): Promise<BackedUp<T>> {
  const safety = await SafetyBackup.prepare(target, { label: 'before a rollback', encryption: null }, controls);
  await safety.make({});
  let isChanged = false;
  const noteChange = (): void => {
    isChanged = true;
  };
  let result: T;
  try {
    result = await work(noteChange);
  } catch (error) {
    const isUncertain = error instanceof ManageDbError && ['CONNECTION_LOST', 'INTERRUPTED'].includes(error.code);
    if (!isChanged && !isUncertain) throw await safety.discard(error);
    throw explained(error, `The safety backup ${safety.id} leads back: ${undoOf(target, safety)}`);
  }
  const safetyBackup = safety.id ?? '';
  return { result, safetyBackup, undo: undoOf(target, safety), warnings: safety.warnings };
}

function undoOf({ environment }: Target, { id }: SafetyBackup): string {
  return `manage_db restore-backup ${id} --env ${environment}`;
}
