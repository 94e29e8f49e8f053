import type { SetupDbRolesResult } from '../../app/core/db-operations/roles.js';
import { defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import type { Paint } from '../presenters/paint.js';
import { renderTable } from '../presenters/table.js';

interface Args {
  readonly prefix?: string;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['setup-db-roles', 'manage_db_viewer, manage_db_operator and manage_db_admin, for this database'],
    ['setup-db-roles --prefix clinic_prod', 'clinic_prod_manage_db_viewer …, where databases share a server'],
  ],
  builder: (yargs) =>
    yargs.option('prefix', { type: 'string', requiresArg: true, describe: 'What the names of the roles begin with' }),
  async run({ prefix }, { operation }) {
    const { setupDbRoles } = await import('../../app/core/db-operations/roles.js');
    const result = await setupDbRoles({ ...operation, prefix });
    return { data: result, text: (paint) => describe(result, operation.env, paint) };
  },
});

function describe({ database, roles, replaced }: SetupDbRolesResult, env: string | undefined, paint: Paint): string {
  const rows = roles.map(({ level, role, state }) => [level, role, state]);
  return [
    renderTable(paint, ['level', 'role', 'state'], rows),
    ...(replaced.length === 0
      ? []
      : [`They take the place of ${replaced.join(', ')}, which carry no level of ${database} any more.`]),
    '',
    `Give one to a login: manage_db grant-db-role operator <login>${envFlag(env)}`,
  ].join('\n');
}
