import { defineCommand } from '../command.js';
import { formatBytes, formatCount, formatDuration } from '../presenters/units.js';

interface Args {
  readonly label?: string;
  readonly format?: 'directory' | 'custom' | 'plain';
  readonly schemaOnly?: boolean;
  readonly dataOnly?: boolean;
  readonly jobs?: number;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['create-backup', 'back up the active environment'],
    ['create-backup --env production --label before-release', 'another one, with a label'],
    ['create-backup --format plain --schema-only', 'the schema as SQL text'],
  ],
  builder: (yargs) =>
    yargs
      .option('label', { type: 'string', requiresArg: true, describe: 'What it is for; a part of its id' })
      .option('format', {
        choices: ['directory', 'custom', 'plain'] as const,
        describe: 'directory (default, parallel), custom (one file) or plain (SQL)',
      })
      .option('schema-only', { type: 'boolean', describe: 'Definitions without rows' })
      .option('data-only', { type: 'boolean', describe: 'Rows without definitions' })
      .option('jobs', { type: 'number', requiresArg: true, describe: 'Connections that dump at the same time' }),
  async run({ label, format, schemaOnly, dataOnly, jobs }, { operation }) {
    const { backupDatabase } = await import('../../app/core/db-operations/backup.js');
    const result = await backupDatabase({ ...operation, label, format, schemaOnly, dataOnly, jobs });
    const rows = result.manifest.tables.reduce((sum, table) => sum + (table.rows ?? 0), 0);
    return {
      data: result,
      text: (paint) =>
        [
          `${paint.green('✓')} ${paint.bold(result.id)}  ${formatBytes(result.sizeBytes)} in ${formatDuration(result.durationMs)}`,
          `  ${formatCount(result.manifest.tables.length)} tables, ${formatCount(rows)} rows, ${result.path}`,
          `  Restore it: manage_db restore-backup ${result.id}`,
        ].join('\n'),
    };
  },
});
