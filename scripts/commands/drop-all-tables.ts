import { defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import { droppedLines } from '../presenters/dropped.js';

export const command = defineCommand({
  isMutating: true,
  examples: [
    ['drop-all-tables --env testing --yes', 'leaves an empty database; extensions and the manage_db schema stay'],
  ],
  builder: (yargs) => yargs,
  async run(_args, { operation }) {
    const { dropAllTables } = await import('../../app/core/db-operations/maintenance.js');
    const result = await dropAllTables(operation);
    return {
      data: result,
      warnings: result.warnings,
      text: (paint) =>
        result.safetyBackup === null
          ? 'There was nothing to drop.'
          : [...droppedLines(result, paint), `  Build it again: manage_db initialize-db${envFlag(operation.env)}`].join(
              '\n',
            ),
    };
  },
});
