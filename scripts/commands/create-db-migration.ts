import { ManageDbError } from '../../app/core/errors.js';
import { defineCommand } from '../command.js';
import { renderCreatedMigration } from '../presenters/created-migration.js';

interface Args {
  readonly name: string;
  readonly sql?: boolean;
  readonly ts?: boolean;
  readonly autogenerate?: boolean;
  readonly 'from-env'?: string;
  readonly owners?: boolean;
  readonly 'allow-pending'?: boolean;
  readonly 'allow-server-wide'?: boolean;
}

export const command = defineCommand<Args>({
  // which database it reads is half of the answer
  isMutating: ({ autogenerate }) => autogenerate === true,
  examples: [
    ['create-db-migration add_phone_to_patients', 'an empty one, with up and down'],
    ['create-db-migration "Move phones" --ts', 'in TypeScript'],
    ['create-db-migration by_hand --autogenerate', 'what was changed in the active database, and no migration makes'],
    ['create-db-migration hotfix --autogenerate --from-env staging', 'the same of staging'],
  ],
  builder: (yargs) =>
    yargs
      .positional('name', { type: 'string', demandOption: true, describe: 'What it does, in a few words' })
      .option('sql', { type: 'boolean', describe: 'In SQL, as by default' })
      .option('ts', { type: 'boolean', describe: 'In TypeScript' })
      .option('autogenerate', {
        type: 'boolean',
        describe: 'Write what a database has beyond the migrations, both ways',
      })
      .option('from-env', {
        type: 'string',
        requiresArg: true,
        describe: 'The environment whose database that is; the active one by default',
      })
      .option('owners', { type: 'boolean', describe: 'With --autogenerate: also who owns what' })
      .option('allow-pending', {
        type: 'boolean',
        describe: 'With --autogenerate: although migrations are not applied there, and write what takes them back',
      })
      .option('allow-server-wide', {
        type: 'boolean',
        describe: 'With --autogenerate: let migrations change roles and the like, on the server, in earnest',
      }),
  async run({ name, sql, ts, autogenerate, owners, ...flags }, { operation }) {
    if (sql && ts) {
      throw new ManageDbError('USAGE', '--sql and --ts exclude each other.', { hint: 'Leave one of them out.' });
    }
    const { createMigration } = await import('../../app/core/db-operations/create-migration.js');
    const created = await createMigration({
      ...operation,
      ...{ name, kind: ts ? 'ts' : 'sql', autogenerate, owners },
      ...{ fromEnv: flags['from-env'], allowPending: flags['allow-pending'] },
      allowServerWide: flags['allow-server-wide'],
    });
    const { warnings, ...data } = created;
    return { data, warnings, text: (paint) => renderCreatedMigration(created, paint) };
  },
});
