import { defineCommand } from '../command.js';
import { renderInspection } from '../presenters/inspection.js';

interface Args {
  readonly tables?: boolean;
  readonly triggers?: boolean;
  readonly functions?: boolean;
  readonly schema?: string;
  readonly table?: string;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['inspect-db', 'an overview: server, schemas, tables'],
    ['inspect-db --table clinic.patients', 'one table: columns, keys, indexes, policies, triggers'],
    ['inspect-db --triggers --schema billing --json', 'the triggers of one schema, for programs'],
  ],
  builder: (yargs) =>
    yargs
      .option('tables', { type: 'boolean', describe: 'Tables, views, sequences with sizes' })
      .option('triggers', { type: 'boolean', describe: 'Triggers with timing, events and function' })
      .option('functions', { type: 'boolean', describe: 'Functions and procedures' })
      .option('schema', { type: 'string', requiresArg: true, describe: 'Only this schema; alone: everything in it' })
      .option('table', {
        type: 'string',
        requiresArg: true,
        describe: 'One table in full, as schema.table or by a name that is unique',
      }),
  async run({ tables, triggers, functions, schema, table }, { operation }) {
    const { inspectDb } = await import('../../app/core/db-operations/inspection.js');
    const result = await inspectDb({ ...operation, tables, triggers, functions, schema, table });
    return { data: result, text: (paint) => renderInspection(result, paint) };
  },
});
