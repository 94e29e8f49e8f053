import { describeConfig } from '../../app/config/db-config.js';
import { ManageDbError } from '../../app/core/errors.js';
import { defineCommand } from '../command.js';
import { renderTable } from '../presenters/table.js';

export const command = defineCommand({
  isMutating: false,
  examples: [
    ['show-config', 'the active environment'],
    ['show-config --env production', 'another one; nothing is connected to'],
  ],
  exitCodes: { 2: 'when something in the configuration is missing or not valid' },
  builder: (yargs) => yargs,
  async run(_args, { env }) {
    const report = await describeConfig(env);
    const { environment, workspace, values, problems, warnings } = report;
    const [first] = problems;
    return {
      data: {
        environment,
        protected: report.security.protected,
        workspace: workspace.root,
        values,
        problems: problems.map(({ code, message, hint }) => ({ code, message, hint })),
      },
      warnings,
      ...(first === undefined ? {} : { error: problems.length === 1 ? first : allOf(problems, environment) }),
      text: (paint) =>
        [
          `${paint.bold(environment)}${report.security.protected ? `  ${paint.red('PROTECTED')}` : ''}  workspace ${workspace.root}`,
          '',
          renderTable(
            paint,
            ['setting', 'value', 'from'],
            values.map(({ name, value, source }) => [name, value, paint.dim(source)]),
          ),
        ].join('\n'),
    };
  },
});

function allOf(problems: readonly ManageDbError[], environment: string): ManageDbError {
  const list = problems.map(({ message, hint }) => `- ${message}${hint === null ? '' : ` ${hint}`}`).join('\n');
  return new ManageDbError(
    'INVALID_CONFIGURATION',
    `The configuration of ${environment} has ${problems.length} problems:\n${list}`,
  );
}
