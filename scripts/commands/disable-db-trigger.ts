import { defineCommand } from '../command.js';
import { renderSwitchedTrigger } from '../presenters/switched-trigger.js';
import { declareTrigger, type TriggerArgument } from '../trigger-argument.js';

export const command = defineCommand<TriggerArgument>({
  isMutating: true,
  examples: [
    [
      'disable-db-trigger note_email --table clinic.users --reason "mails are sent twice"',
      'it stays in place, and does not fire',
    ],
  ],
  builder: (yargs) => declareTrigger(yargs),
  async run({ name, table }, { operation }) {
    const { disableTrigger } = await import('../../app/core/db-operations/trigger-control.js');
    const result = await disableTrigger({ ...operation, table, name });
    return { data: result, text: (paint) => renderSwitchedTrigger(result, paint) };
  },
});
