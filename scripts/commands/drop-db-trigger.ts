import { defineCommand } from '../command.js';

interface Args {
  readonly name: string;
  readonly table: string;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [['drop-db-trigger note_email --table clinic.users --yes', 'drop it, and print what creates it again']],
  builder: (yargs) =>
    yargs
      .positional('name', { type: 'string', demandOption: true, describe: 'The name of the trigger' })
      .option('table', {
        type: 'string',
        requiresArg: true,
        demandOption: true,
        describe: 'Its table, as schema.table or by a name that is unique',
      }),
  async run({ name, table }, { operation }) {
    const { dropTrigger } = await import('../../app/core/db-operations/trigger-control.js');
    const result = await dropTrigger({ ...operation, table, name });
    const mode = result.before === 'origin' ? '' : ` (it was in the mode ${result.before})`;
    return {
      data: result,
      text: (paint) =>
        `${paint.green('✓')} dropped ${result.name} of ${result.schema}.${result.table}\nTo create it again${mode}:\n${result.definition};`,
    };
  },
});
