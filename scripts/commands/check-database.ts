import type { CheckStatus } from '../../app/core/db-operations/maintenance.js';
import { defineCommand } from '../command.js';
import { renderChecks } from '../presenters/checks.js';

export const command = defineCommand({
  isMutating: false,
  examples: [
    ['check-database', 'the active environment'],
    ['check-database --env production --json | jq ".data.checks[] | select(.status != \\"ok\\")"', 'what is not ok'],
  ],
  builder: (yargs) => yargs,
  async run(_args, { operation }) {
    const { checkDb } = await import('../../app/core/db-operations/maintenance.js');
    const { checks } = await checkDb(operation);
    const count = (status: CheckStatus): number => checks.filter((check) => check.status === status).length;
    return {
      data: { checks },
      text: (paint) =>
        `${renderChecks(checks, paint)}\n\n${checks.length} checks: ${count('critical')} critical, ${count('warning')} warnings, ${count('info')} notes, ${count('ok')} ok`,
    };
  },
});
