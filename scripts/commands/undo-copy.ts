import { defineCommand } from '../command.js';
import { runUndo, type UndoArgs, undoFlags } from '../undo-flags.js';

export const command = defineCommand<UndoArgs>({
  isMutating: true,
  examples: [
    ['undo-copy --env testing --yes', 'what the newest copy into testing has replaced; once more: undo the undo'],
    ['undo-copy clinic_previous_20261121t033400', 'one that list-previous-databases shows'],
  ],
  builder: undoFlags,
  async run(args, context) {
    const { undoCopy } = await import('../../app/core/db-operations/undo-restore.js');
    return runUndo(args, context, undoCopy, 'undo-copy');
  },
});
