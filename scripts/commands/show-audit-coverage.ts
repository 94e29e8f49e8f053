import { defineCommand } from '../command.js';
import { renderTable } from '../presenters/table.js';
import { formatCount } from '../presenters/units.js';

interface Args {
  readonly all?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: false,
  examples: [['show-audit-coverage --env production', 'the tables that are not audited, or not wholly']],
  builder: (yargs) => yargs.option('all', { type: 'boolean', describe: 'Also those that are audited' }),
  async run({ all }, { operation }) {
    const { auditCoverage } = await import('../../app/core/db-operations/audit-log.js');
    const coverage = await auditCoverage(operation);
    const shown = all === true ? coverage.tables : coverage.tables.filter(({ state }) => state !== 'audited');
    const { audited, partly, not_audited } = coverage.counts;
    return {
      data: coverage,
      text: (paint) =>
        [
          ...(shown.length === 0
            ? []
            : [
                renderTable(
                  paint,
                  ['table', 'state', 'not logged'],
                  shown.map(({ schema, table, state, missing }) => [
                    `${schema}.${table}`,
                    state,
                    missing.join('; ') || null,
                  ]),
                ),
              ]),
          `${formatCount(audited)} audited, ${formatCount(partly)} partly, ${formatCount(not_audited)} not`,
        ].join('\n'),
    };
  },
});
