import { defineCommand } from '../command.js';
import { droppedLines } from '../presenters/dropped.js';
import { renderInitialization } from '../presenters/initialization.js';

interface Args {
  readonly seed?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [['reset-database --env testing --seed --yes', 'empty, migrated and seeded again']],
  builder: (yargs) => yargs.option('seed', { type: 'boolean', describe: "Also load the workspace's seed data" }),
  async run({ seed }, { operation }) {
    const { resetDb } = await import('../../app/core/db-operations/maintenance.js');
    const started = performance.now();
    const result = await resetDb({ ...operation, seed });
    const durationMs = Math.round(performance.now() - started);
    return {
      data: { ...result, durationMs },
      warnings: result.warnings,
      text: (paint) =>
        [...droppedLines(result, paint), renderInitialization(result.initialized, durationMs, paint)].join('\n'),
    };
  },
});
