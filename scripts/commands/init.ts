import { defineCommand } from '../command.js';

export const command = defineCommand({
  isMutating: false,
  examples: [
    ['init', 'in the folder of your project; what exists is never changed'],
    ['init --workspace ./clinic', 'in another folder that exists'],
  ],
  builder: (yargs) => yargs,
  async run(_args, { workspace }) {
    const { initWorkspace } = await import('../../app/core/db-operations/init-workspace.js');
    const result = await initWorkspace(workspace);
    return {
      data: result,
      text: (paint) =>
        [
          ...result.created.map((path) => `${paint.green('+')} ${path}`),
          ...result.kept.map((path) => paint.dim(`= ${path} (kept)`)),
          '',
          `${paint.bold('Next:')} manage_db initialize-db    a working development database, with no configuration`,
          '      manage_db inspect-db --triggers',
          '      manage_db doctor            when something is missing',
        ].join('\n'),
    };
  },
});
