import { EXIT } from '../../app/core/errors.js';
import { defineCommand } from '../command.js';
import { renderChecks } from '../presenters/checks.js';

export const command = defineCommand({
  isMutating: false,
  examples: [['doctor', 'everything that can stand in the way, with its fix; exit 1 when something critical does']],
  exitCodes: { 1: 'when something critical stands in the way' },
  builder: (yargs) => yargs,
  async run(_args, { signal }) {
    const { runDoctor } = await import('../../app/core/db-operations/doctor.js');
    const { checks } = await runDoctor({ signal });
    const isIll = checks.some(({ status }) => status === 'critical');
    return {
      data: { checks },
      exitCode: isIll ? EXIT.failed : EXIT.done,
      text: (paint) => renderChecks(checks, paint),
    };
  },
});
