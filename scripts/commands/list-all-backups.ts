import { defineCommand } from '../command.js';
import { backupState, backupVerified } from '../presenters/backup-state.js';
import { renderTable } from '../presenters/table.js';
import { formatAge, formatBytes } from '../presenters/units.js';

export const command = defineCommand({
  isMutating: false,
  examples: [
    ['list-all-backups', 'of every environment, the newest first'],
    ['list-all-backups --env production --json', 'of one environment, for programs'],
  ],
  builder: (yargs) => yargs,
  async run(_args, { env }) {
    const { listBackups } = await import('../../app/core/db-operations/backup.js');
    const backups = await listBackups(env === undefined ? {} : { env });
    return {
      data: { backups },
      text: (paint) =>
        backups.length === 0
          ? 'There are no backups yet. Make one: manage_db create-backup'
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
