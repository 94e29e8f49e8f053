import type { EnableTriggerOptions } from '../../app/core/db-operations/trigger-control.js';
import { defineCommand } from '../command.js';
import { renderSwitchedTrigger } from '../presenters/switched-trigger.js';
import { declareTrigger, type TriggerArgument } from '../trigger-argument.js';

interface Args extends TriggerArgument {
  readonly mode?: EnableTriggerOptions['mode'];
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['enable-db-trigger update_timestamp --table clinic.users', 'it fires again in ordinary sessions'],
    ['enable-db-trigger audit_users --table users --mode always', 'also while replicating'],
  ],
  builder: (yargs) =>
    declareTrigger(yargs).option('mode', {
      choices: ['origin', 'replica', 'always'] as const,
      requiresArg: true,
      describe: 'In ordinary sessions (origin, the default), only when replicating, or always',
    }),
  async run({ name, table, mode }, { operation }) {
    const { enableTrigger } = await import('../../app/core/db-operations/trigger-control.js');
    const result = await enableTrigger({ ...operation, table, name, mode });
    return { data: result, text: (paint) => renderSwitchedTrigger(result, paint) };
  },
});
