import { shellQuote } from '../../app/core/shell-quote.js';
import { type StorageArgs, storageFlag } from '../backup-flags.js';
import { defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import { backupState, backupVerified } from '../presenters/backup-state.js';
import { renderTable } from '../presenters/table.js';
import { formatAge, formatBytes } from '../presenters/units.js';

export const command = defineCommand<StorageArgs>({
  isMutating: false,
  examples: [
    ['list-all-backups', 'of every environment, the newest first'],
    ['list-all-backups --storage s3://clinic-backups/db1', 'those in a bucket'],
    ['list-all-backups --env production --json', 'of one environment, for programs'],
  ],
  builder: storageFlag,
  async run({ storage }, { env }) {
    const { listBackups } = await import('../../app/core/db-operations/list-backups.js');
    const backups = await listBackups({ storage, ...(env === undefined ? {} : { env }) });
    return {
      data: { backups },
      text: (paint) =>
        backups.length === 0
          ? `There are no backups yet. Make one: manage_db create-backup${envFlag(env)}${storage === undefined ? '' : ` --storage ${shellQuote(storage)}`}`
          : renderTable(
              paint,
              ['id', 'environment', 'age', 'size', 'label', 'state', 'verified'],
              backups.map((backup) => [
                backup.id,
                backup.environment,
                formatAge(new Date(backup.createdAt)),
                formatBytes(backup.sizeBytes),
                backup.label,
                backupState(backup, paint),
                backupVerified(backup, paint),
              ]),
              [3],
            ),
    };
  },
});
