import { backupCommand } from '../../app/core/db-operations/backup/backup-command.js';
import { type EncryptArgs, encryptFlags, encryptOf, type StorageArgs, storageFlag } from '../backup-flags.js';
import { defineCommand } from '../command.js';
import { formatBytes, formatCounted, formatDuration } from '../presenters/units.js';

interface Args extends EncryptArgs, StorageArgs {
  readonly label?: string;
  readonly format?: 'directory' | 'custom' | 'plain';
  readonly schemaOnly?: boolean;
  readonly dataOnly?: boolean;
  readonly jobs?: number;
  readonly schema?: readonly string[];
  readonly table?: readonly string[];
  readonly excludeTableData?: readonly string[];
  readonly compress?: string;
  readonly prove?: boolean;
  readonly rolePasswords?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['create-backup', 'back up the active environment'],
    ['create-backup --env production --label before-release', 'another one, with a label'],
    ['create-backup --prove', 'restore it into a scratch database at once, and compare'],
    ['create-backup --format plain --schema-only', 'the schema as SQL text'],
    ['create-backup --encrypt --storage s3://clinic-backups/db1', 'encrypted and into a bucket, as it comes'],
    ['create-backup --exclude-table-data logs.requests', 'everything but the rows of one table'],
  ],
  repeatable: ['schema', 'table', 'exclude-table-data', 'recipient'],
  builder: (yargs) =>
    storageFlag(encryptFlags(yargs))
      .option('label', { type: 'string', requiresArg: true, describe: 'What it is for; a part of its id' })
      .option('format', {
        choices: ['directory', 'custom', 'plain'] as const,
        describe:
          'directory (parallel), custom (one file) or plain (SQL); directory unless encrypted, stored elsewhere or with many large objects',
      })
      .option('schema-only', { type: 'boolean', describe: 'Definitions without rows' })
      .option('data-only', { type: 'boolean', describe: 'Rows without definitions' })
      .option('jobs', { type: 'number', requiresArg: true, describe: 'Connections that dump at the same time' })
      .option('schema', { type: 'string', array: true, requiresArg: true, describe: 'Only this schema; repeatable' })
      .option('table', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'Only this table, with its partitions; repeatable',
      })
      .option('exclude-table-data', {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'This table without its rows; repeatable',
      })
      .option('compress', {
        type: 'string',
        requiresArg: true,
        describe: 'none, gzip, lz4 or zstd, with a level or without: zstd:3',
      })
      .option('role-passwords', {
        type: 'boolean',
        describe: "Keep what the server has of the roles' passwords, which is the default; or --no-role-passwords",
      })
      .option('prove', { type: 'boolean', describe: 'Restore it into a scratch database, and compare the contents' }),
  async run({ schema: schemas, table: tables, ...args }, { operation, askPassphrase }) {
    const { backupDatabase, usersTables } = await import('../../app/core/db-operations/backup.js');
    const { label, format, schemaOnly, dataOnly, jobs, excludeTableData, compress, prove, rolePasswords, storage } =
      args;
    const result = await backupDatabase({
      ...operation,
      label,
      format,
      schemaOnly,
      dataOnly,
      jobs,
      schemas,
      tables,
      excludeTableData,
      compress,
      prove,
      rolePasswords,
      storage,
      encrypt: await encryptOf(args),
      askPassphrase,
    });
    const place = { environment: result.manifest.environment, storage };
    const isPart = Object.values(result.manifest.selection).some((names) => names.length > 0);
    const counted = usersTables(result.manifest.tables);
    const rows = counted.reduce((sum, table) => sum + (table.rows ?? 0), 0);
    return {
      data: result,
      text: (paint) =>
        [
          `${paint.green('✓')} ${paint.bold(result.id)}  ${formatBytes(result.sizeBytes)} in ${formatDuration(result.durationMs)}`,
          `  ${formatCounted(counted.length, 'table')}, ${formatCounted(rows, 'row')}, ${result.path}`,
          ...(prove ? ['  Proven: it was restored into a scratch database, and what came back was compared'] : []),
          isPart
            ? `  A part of the database: ${backupCommand(`restore-backup ${result.id} --in-place --table …`, place)} brings tables of it back`
            : `  Restore it: ${backupCommand(`restore-backup ${result.id}`, place)}`,
        ].join('\n'),
    };
  },
});
