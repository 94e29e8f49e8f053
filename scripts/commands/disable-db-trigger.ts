import { defineCommand } from '../command.js';
import { renderSwitchedTrigger } from '../presenters/switched-trigger.js';

interface Args {
  readonly name: string;
  readonly table: string;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    [
      'disable-db-trigger note_email --table clinic.users --reason "mails are sent twice"',
      'it stays in place, and does not fire',
    ],
  ],
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
    const { disableTrigger } = await import('../../app/core/db-operations/trigger-control.js');
    const result = await disableTrigger({ ...operation, table, name });
    return { data: result, text: (paint) => renderSwitchedTrigger(result, paint) };
  },
});
