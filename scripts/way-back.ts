import type { MigrationRun, MigrationRunOptions } from '../app/core/db-operations/migrations.js';
import { type CommandModule, defineCommand } from './command.js';
import { type MigrationArgs, migrationFlags, ranOutcome, runOptionsOf } from './migration-flags.js';

/** A command that rolls migrations back, and may apply them again. */
export function wayBack(
  examples: CommandModule['examples'],
  run: (options: MigrationRunOptions) => Promise<MigrationRun>,
): CommandModule {
  return defineCommand<MigrationArgs>({
    isMutating: true,
    examples,
    builder: (yargs) =>
      migrationFlags(yargs, {
        to: 'Back to this version, which stays; 0: all of them',
        steps: 'How many, the newest first; 1 by default',
      }),
    async run(args, { operation, say }) {
      return ranOutcome(await run({ ...operation, ...runOptionsOf(args, say) }), operation.env);
    },
  });
}
