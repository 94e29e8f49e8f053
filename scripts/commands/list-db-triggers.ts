import { DRIFT_STATES, type DriftState } from '../../app/core/triggers/trigger-report.js';
import { defineCommand } from '../command.js';
import { renderTable } from '../presenters/table.js';
import { renderState } from '../presenters/trigger-state.js';

interface Args {
  readonly schema?: string;
  readonly table?: string;
  readonly state?: DriftState;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [
    ['list-db-triggers', 'every trigger, also those that are declared and not there'],
    ['list-db-triggers --state disabled --env production', 'what does not fire'],
  ],
  builder: (yargs) =>
    yargs
      .option('schema', { type: 'string', requiresArg: true, describe: 'Only in this schema' })
      .option('table', { type: 'string', requiresArg: true, describe: 'Only on this table: name, or schema.name' })
      .option('state', { choices: DRIFT_STATES, requiresArg: true, describe: 'Only in this state' }),
  async run({ schema, table, state }, { operation }) {
    const { listTriggers } = await import('../../app/core/db-operations/trigger-drift.js');
    const listed = await listTriggers({ ...operation, schema, table, state });
    return {
      data: listed,
      text: (paint) =>
        listed.triggers.length === 0
          ? 'There are none.'
          : renderTable(
              paint,
              ['table', 'trigger', 'state', 'mode', 'version', 'pack', 'function'],
              listed.triggers.map((one) => [
                `${one.schema}.${one.table}`,
                one.name,
                renderState(one, paint),
                one.mode,
                one.version,
                one.pack,
                one.function,
              ]),
            ),
    };
  },
});
