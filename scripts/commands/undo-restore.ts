import { defineCommand } from '../command.js';
import { keepingOf, keptLines } from '../keeping.js';
import { formatDuration } from '../presenters/units.js';

interface Args {
  readonly name?: string;
  readonly disconnectUsers?: boolean;
  readonly keepPrevious?: string;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['undo-restore --yes', 'the newest previous database of the active environment; once more: undo the undo'],
    ['undo-restore clinic_previous_20261121t033400', 'one that list-previous-databases shows'],
  ],
  builder: (yargs) =>
    yargs
      .positional('name', { type: 'string', describe: 'The previous database; the newest one without it' })
      .option('disconnect-users', {
        type: 'boolean',
        describe: 'End the sessions that use the databases at the moment of the swap',
      })
      .option('keep-previous', {
        type: 'string',
        requiresArg: true,
        describe: 'How long the database that is replaced is kept, such as 7d; 24h by default',
      }),
  async run({ name, disconnectUsers, keepPrevious }, { operation }) {
    const { undoRestore } = await import('../../app/core/db-operations/undo-restore.js');
    const keeping = keepingOf(keepPrevious);
    const result = await undoRestore({ ...operation, name, disconnectUsers, keepPrevious: keeping || undefined });
    return {
      data: result,
      text: (paint) =>
        [
          `${paint.green('✓')} ${paint.bold(result.database)} is again what was ${result.from}, by ${result.strategy} in ${formatDuration(result.durationMs)}`,
          ...keptLines(result),
        ].join('\n'),
    };
  },
});
