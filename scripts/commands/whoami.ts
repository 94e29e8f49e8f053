import type { WhoamiResult } from '../../app/core/db-operations/roles.js';
import { defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import type { Paint } from '../presenters/paint.js';
import { renderTable } from '../presenters/table.js';

export const command = defineCommand({
  isMutating: false,
  examples: [['whoami --env production', 'login, level and why, before something is refused']],
  builder: (yargs) => yargs,
  async run(_args, { operation }) {
    const { whoami } = await import('../../app/core/db-operations/roles.js');
    const result = await whoami(operation);
    return { data: result, text: (paint) => describe(result, operation.env, paint) };
  },
});

function describe(
  { login, level, why, database, environment, roles, may }: WhoamiResult,
  env: string | undefined,
  paint: Paint,
): string {
  const rows = roles.map(({ level: carried, role, exists, isServing, isMember }) => [
    carried,
    role,
    exists ? (isServing ? (isMember ? 'member' : 'no member') : 'serves another database') : 'does not exist here',
  ]);
  return [
    `${paint.bold(login)} is ${paint.bold(level)} of ${database} (${environment}): ${why}`,
    `may: ${may.join(', ')}`,
    ...(rows.length === 0
      ? [`There are no roles for levels here yet: manage_db setup-db-roles${envFlag(env)}`]
      : ['', renderTable(paint, ['level', 'role', ''], rows)]),
  ].join('\n');
}
