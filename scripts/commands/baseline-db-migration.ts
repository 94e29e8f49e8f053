import type { BaselineResult } from '../../app/core/db-operations/baseline-migrations.js';
import { defineCommand } from '../command.js';
import type { Paint } from '../presenters/paint.js';
import { formatCount, formatCounted } from '../presenters/units.js';

interface Args {
  readonly to?: string;
  readonly all?: boolean;
  readonly fromDbmate?: boolean;
  readonly table?: string;
  readonly dryRun?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['baseline-db-migration --env production --to 20250113090000', 'it has these already; later ones stay pending'],
    ['baseline-db-migration --env production --from-dbmate', 'those that dbmate has applied'],
    ['baseline-db-migration --all --dry-run', 'which ones it would be'],
  ],
  builder: (yargs) =>
    yargs
      .option('to', { type: 'string', requiresArg: true, describe: 'Every migration up to this version, and this one' })
      .option('all', { type: 'boolean', describe: 'Every migration of the workspace' })
      .option('from-dbmate', { type: 'boolean', describe: 'Those that dbmate has recorded in its table' })
      .option('table', {
        type: 'string',
        requiresArg: true,
        implies: 'from-dbmate',
        describe: 'With --from-dbmate: that table (public.schema_migrations)',
      })
      .option('dry-run', { type: 'boolean', describe: 'Say what would be recorded, and record nothing' }),
  async run({ to, all, fromDbmate, table, dryRun }, { operation }) {
    const { baselineMigrations } = await import('../../app/core/db-operations/baseline-migrations.js');
    const result = await baselineMigrations({ ...operation, to, all, fromDbmate, table, dryRun });
    return { data: result, warnings: warningsOf(result), text: (paint) => describe(result, paint) };
  },
});

function describe({ recorded, already, isDryRun }: BaselineResult, paint: Paint): string {
  const before = already === 0 ? '' : `; ${formatCounted(already, 'other')} had been recorded before`;
  if (recorded.length === 0) return `${paint.green('✓')} nothing to record: ${formatCount(already)} recorded before`;
  const what = formatCounted(recorded.length, 'migration');
  return [
    ...recorded.map(({ version, name }) => `  ${version}  ${name}`),
    isDryRun
      ? `${what} would be recorded as applied${before}`
      : `${paint.green('✓')} recorded ${what} as applied; nothing was executed${before}`,
  ].join('\n');
}

function warningsOf({ withoutFile }: BaselineResult): readonly string[] {
  if (withoutFile.length === 0) return [];
  return [`dbmate has applied what no file has, and it was not recorded: ${withoutFile.join(', ')}.`];
}
