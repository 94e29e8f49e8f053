import { defineCommand } from '../command.js';
import { renderInspection } from '../presenters/inspection.js';

interface Args {
  readonly tables?: boolean;
  readonly triggers?: boolean;
  readonly functions?: boolean;
  readonly schema?: string;
  readonly table?: string;
  readonly diagram?: string;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['inspect-db', 'an overview: stamp, schemas, tables with their sizes'],
    [
      'inspect-db --table clinic.patients',
      'one table: columns, keys, indexes, policies, triggers in firing order, grants',
    ],
    ['inspect-db --triggers --schema billing --json', 'the triggers of one schema, for programs'],
    ['inspect-db --diagram schema.mmd', 'an entity relationship diagram for Mermaid, in a file'],
    ['inspect-db --diagram --table clinic.patients', 'the same of one table and its neighbours, on standard output'],
  ],
  builder: (yargs) =>
    yargs
      .option('tables', { type: 'boolean', describe: 'Tables and views with rows and sizes' })
      .option('triggers', { type: 'boolean', describe: 'Triggers with timing, events and function, in firing order' })
      .option('functions', { type: 'boolean', describe: 'Functions and procedures' })
      .option('schema', { type: 'string', requiresArg: true, describe: 'Only this schema; alone: everything in it' })
      .option('table', {
        type: 'string',
        requiresArg: true,
        describe: 'One table in full, as schema.table or by a name that is unique',
      })
      .option('diagram', {
        type: 'string',
        describe:
          'A Mermaid diagram of the tables, of --schema, or of --table with its neighbours; FILE or standard output',
      }),
  async run({ tables, triggers, functions, schema, table, diagram: file }, { operation }) {
    const { inspectDb } = await import('../../app/core/db-operations/inspection.js');
    const diagram = file === '' ? true : file;
    const result = await inspectDb({ ...operation, tables, triggers, functions, schema, table, diagram });
    return {
      data: result,
      text: (paint) => renderInspection(result, paint),
      isVerbatim: result.diagram !== undefined,
      warnings: result.diagram?.warnings ?? [],
    };
  },
});
