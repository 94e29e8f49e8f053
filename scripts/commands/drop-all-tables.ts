import { defineCommand } from '../command.js';
import { formatCounted } from '../presenters/units.js';

export const command = defineCommand({
  isMutating: true,
  examples: [
    ['drop-all-tables --env testing --yes', 'leaves an empty database; extensions and the manage_db schema stay'],
  ],
  builder: (yargs) => yargs,
  async run(_args, { operation }) {
    const { dropAllTables } = await import('../../app/core/db-operations/maintenance.js');
    const { dropped } = await dropAllTables(operation);
    const counts = new Map<string, number>();
    for (const { kind } of dropped) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    return {
      data: { dropped },
      text: (paint) =>
        dropped.length === 0
          ? 'There was nothing to drop.'
          : `${paint.green('✓')} dropped ${[...counts].map(([kind, count]) => formatCounted(count, kind)).join(', ')}\n  Build it again: manage_db initialize-db. Or bring it back: manage_db restore-backup latest`,
    };
  },
});
