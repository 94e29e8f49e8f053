import { LEVELS, type Level } from '../../app/core/levels.js';
import { defineCommand } from '../command.js';
import { renderDbRole, warningsOfDbRole } from '../presenters/db-role.js';

interface Args {
  readonly level: Level;
  readonly login: string;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['grant-db-role operator anna --env production', 'anna may enable and disable triggers, and owns nothing'],
  ],
  builder: (yargs) =>
    yargs
      .positional('level', { choices: LEVELS, demandOption: true, describe: 'What the login shall be allowed to do' })
      .positional('login', { type: 'string', demandOption: true, describe: 'A login of the server' }),
  async run({ level, login }, { operation }) {
    const { grantDbRole } = await import('../../app/core/db-operations/roles.js');
    const result = await grantDbRole({ ...operation, level, login });
    return { data: result, text: (paint) => renderDbRole(result, paint), warnings: warningsOfDbRole(result) };
  },
});
