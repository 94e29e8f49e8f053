import type { TriggerDiff } from '../../app/core/db-operations/trigger-drift.js';
import { defineCommand } from '../command.js';
import type { Paint } from '../presenters/paint.js';
import { patchLine } from '../presenters/patch-lines.js';
import { renderState } from '../presenters/trigger-state.js';

interface Args {
  readonly name?: string;
  readonly schema?: string;
  readonly table?: string;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['diff-db-triggers', 'everything that is not as it should be; exit code 0 either way, verify-db-triggers has 4'],
    ['diff-db-triggers note_email --table clinic.users --env production', 'one trigger and its function'],
  ],
  builder: (yargs) =>
    yargs
      .positional('name', { type: 'string', describe: 'Only triggers of this name' })
      .option('schema', { type: 'string', requiresArg: true, describe: 'Only in this schema' })
      .option('table', { type: 'string', requiresArg: true, describe: 'Only on this table: name, or schema.name' }),
  async run({ name, schema, table }, { operation }) {
    const { diffTriggers } = await import('../../app/core/db-operations/trigger-drift.js');
    const found = await diffTriggers({ ...operation, name, schema, table });
    return {
      data: found,
      text: (paint) =>
        found.diffs.length === 0 ? 'No differences.' : found.diffs.map((diff) => describe(diff, paint)).join('\n\n'),
    };
  },
});

function describe({ schema, table, name, state, patch, recommendation }: TriggerDiff, paint: Paint): string {
  const head = `${paint.bold(`${schema}.${table}  ${name}`)}  ${renderState({ state, isDrift: true }, paint)}`;
  const lines = patch
    .trimEnd()
    .split('\n')
    .map((line) => patchLine(line, paint));
  return [head, ...lines, `${paint.cyan('→')} ${recommendation}`].join('\n');
}
