import { defineCommand } from '../command.js';
import { declareTrigger, type TriggerArgument } from '../trigger-argument.js';

export const command = defineCommand<TriggerArgument>({
  isMutating: true,
  examples: [['drop-db-trigger note_email --table clinic.users --yes', 'drop it, and print what creates it again']],
  builder: (yargs) => declareTrigger(yargs),
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
