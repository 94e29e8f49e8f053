import { defineCommand } from '../command.js';
import { renderInitialization } from '../presenters/initialization.js';

interface Args {
  readonly seed?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['initialize-db', 'create what is missing; run it as often as you like'],
    ['initialize-db --seed --env testing', 'also load the seed data'],
  ],
  builder: (yargs) => yargs.option('seed', { type: 'boolean', describe: "Also load the workspace's seed data" }),
  async run({ seed }, { operation }) {
    const { initDb } = await import('../../app/core/db-operations/initialize.js');
    const started = performance.now();
    const result = await initDb({ ...operation, seed });
    const durationMs = Math.round(performance.now() - started);
    return { data: { ...result, durationMs }, text: (paint) => renderInitialization(result, durationMs, paint) };
  },
});
