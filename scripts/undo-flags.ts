import type { Argv } from 'yargs';
import type { UndoneRestore, UndoRestoreOptions } from '../app/core/db-operations/undo-restore.js';
import type { CommandContext, CommandOutcome } from './command.js';
import { keepingOf, keptLines } from './keeping.js';
import { formatDuration } from './presenters/units.js';

export interface UndoArgs {
  readonly name?: string;
  readonly disconnectUsers?: boolean;
  readonly keepPrevious?: string;
}

/** The flags of what puts a replaced database back. */
export function undoFlags(yargs: Argv): Argv {
  return yargs
    .positional('name', { type: 'string', describe: 'The previous database; the newest one without it' })
    .option('disconnect-users', {
      type: 'boolean',
      describe: 'End the sessions that use the databases at the moment of the swap',
    })
    .option('keep-previous', {
      type: 'string',
      requiresArg: true,
      describe: 'How long the database that is replaced is kept, such as 7d; 24h by default',
    });
}

/** Puts it back by `undo`, and says what has become of both. */
export async function runUndo(
  { name, disconnectUsers, keepPrevious }: UndoArgs,
  { operation }: CommandContext,
  undo: (options: UndoRestoreOptions) => Promise<UndoneRestore>,
  command: 'undo-restore' | 'undo-copy',
): Promise<CommandOutcome> {
  const keeping = keepingOf(keepPrevious);
  const result = await undo({ ...operation, name, disconnectUsers, keepPrevious: keeping || undefined });
  return {
    data: result,
    warnings: result.warnings,
    text: (paint) =>
      [
        `${paint.green('✓')} ${paint.bold(result.database)} is again what was ${result.from}, by ${result.strategy} in ${formatDuration(result.durationMs)}`,
        ...keptLines(result, command),
      ].join('\n'),
  };
}
