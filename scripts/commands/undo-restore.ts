import { defineCommand } from '../command.js';
import { runUndo, type UndoArgs, undoFlags } from '../undo-flags.js';

export const command = defineCommand<UndoArgs>({
  isMutating: true,
  examples: [
    ['undo-restore --yes', 'the newest previous database of the active environment; once more: undo the undo'],
    ['undo-restore clinic_previous_20261121t033400', 'one that list-previous-databases shows'],
  ],
  builder: undoFlags,
  async run(args, context) {
    const { undoRestore } = await import('../../app/core/db-operations/undo-restore.js');
    return runUndo(args, context, undoRestore, 'undo-restore');
  },
});
