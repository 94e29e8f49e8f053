import { defineCommand } from '../command.js';
import { renderDbRole, warningsOfDbRole } from '../presenters/db-role.js';

interface Args {
  readonly login: string;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [['revoke-db-role anna --env production', 'anna has no level of that database any more']],
  builder: (yargs) =>
    yargs.positional('login', { type: 'string', demandOption: true, describe: 'A login of the server' }),
  async run({ login }, { operation }) {
    const { revokeDbRole } = await import('../../app/core/db-operations/roles.js');
    const result = await revokeDbRole({ ...operation, login });
    return { data: result, text: (paint) => renderDbRole(result, paint), warnings: warningsOfDbRole(result) };
  },
});
