import { defineCommand } from '../command.js';
import { renderTable } from '../presenters/table.js';
import { formatBytes } from '../presenters/units.js';

export const command = defineCommand({
  isMutating: false,
  examples: [
    ['list-previous-databases', 'on the server of the active environment, the newest first'],
    ['list-previous-databases --env production --json', 'for programs'],
  ],
  builder: (yargs) => yargs,
  async run(_args, { operation }) {
    const { listPreviousDatabases } = await import('../../app/core/db-operations/undo-restore.js');
    const result = await listPreviousDatabases(operation);
    const { previousDatabases, freeBytes } = result;
    return {
      data: result,
      text: (paint) =>
        [
          previousDatabases.length === 0
            ? 'There are no previous databases.'
            : renderTable(
                paint,
                ['name', 'of', 'since', 'until', 'size'],
                previousDatabases.map(({ name, database, since, until, isOver, sizeBytes }) => [
                  name,
                  database,
                  since,
                  isOver ? `${until} ${paint.yellow('(over: the next restore or prune-backups drops it)')}` : until,
                  sizeBytes === null ? null : formatBytes(sizeBytes),
                ]),
                [4],
              ),
          `Free space of the server: ${freeBytes === 'unknown' ? 'unknown' : formatBytes(freeBytes)}`,
        ].join('\n'),
    };
  },
});
