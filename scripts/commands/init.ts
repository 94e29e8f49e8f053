import { defineCommand } from '../command.js';

interface Args {
  readonly bare?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['init', 'in the folder of your project; what exists is never changed'],
    ['init --bare', 'for a database that is there already: no example is pending for it then'],
    ['init --workspace ./clinic', 'in another folder that exists'],
  ],
  builder: (yargs) =>
    yargs.option('bare', {
      type: 'boolean',
      describe: 'Without the first migration and the first trigger, which are examples',
    }),
  async run({ bare = false }, { workspace }) {
    const { initWorkspace } = await import('../../app/core/db-operations/init-workspace.js');
    const result = await initWorkspace(workspace, { bare });
    return {
      data: result,
      text: (paint) =>
        [
          ...result.created.map((path) => `${paint.green('+')} ${path}`),
          ...result.kept.map((path) => paint.dim(`= ${path} (kept)`)),
          '',
          ...nextSteps(bare).map((line, at) => (at === 0 ? `${paint.bold('Next:')} ${line}` : `      ${line}`)),
        ].join('\n'),
    };
  },
});

function nextSteps(bare: boolean): readonly string[] {
  const doctor = 'manage_db doctor            when something is missing';
  return bare
    ? ['manage_db check-database --env production    once .env.production names the database', doctor]
    : [
        'manage_db initialize-db    a working development database, with no configuration',
        'manage_db inspect-db --triggers',
        doctor,
      ];
}
