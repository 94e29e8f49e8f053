import type {
  PlannedPruning,
  PlanPruningOptions,
  PruneBackupsResult,
  PrunedEnvironment,
  RetentionRules,
} from '../../app/core/db-operations/prune-backups.js';
import { ManageDbError } from '../../app/core/errors.js';
import { type StorageArgs, storageFlag } from '../backup-flags.js';
import { type CommandContext, type CommandOutcome, defineCommand } from '../command.js';
import type { Paint } from '../presenters/paint.js';
import { renderTable } from '../presenters/table.js';
import { formatAge, formatBytes, formatCounted } from '../presenters/units.js';

interface Args extends RetentionRules, StorageArgs {
  readonly all?: boolean;
  readonly dryRun?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: true,
  examples: [
    ['prune-backups --keep-last 3 --keep-daily 14', 'what would be removed and what would be kept, and why'],
    ['prune-backups --keep-last 3 --keep-daily 14 --yes', 'and now remove it'],
    ['prune-backups --keep-weekly 8 --keep-monthly 12 --all --yes', 'in every environment that lets --yes suffice'],
  ],
  exitCodes: { 2: 'when some environments were left as they are, because the gate refused them' },
  builder: (yargs) =>
    storageFlag(yargs)
      .option('keep-last', { type: 'number', requiresArg: true, describe: 'Keep this many of the newest' })
      .option('keep-daily', {
        type: 'number',
        requiresArg: true,
        describe: 'Keep the newest of each of the last days that have one',
      })
      .option('keep-weekly', { type: 'number', requiresArg: true, describe: 'The same for ISO weeks (all in UTC)' })
      .option('keep-monthly', { type: 'number', requiresArg: true, describe: 'The same for months' })
      .option('all', { type: 'boolean', describe: 'Every environment that has backups' })
      .option('dry-run', { type: 'boolean', describe: 'Only the plan; without --yes or --confirm it is always that' }),
  async run({ keepLast, keepDaily, keepWeekly, keepMonthly, all, dryRun, storage }, context) {
    const what = { keepLast, keepDaily, keepWeekly, keepMonthly, all, storage };
    const { operation } = context;
    const isAgreed = operation.consent?.yes === true || operation.consent?.confirm !== undefined;
    return isAgreed && dryRun !== true ? remove(what, context) : plan(what, context);
  },
});

async function plan(what: PlanPruningOptions, { env }: CommandContext): Promise<CommandOutcome> {
  const { planPruning } = await import('../../app/core/db-operations/prune-backups.js');
  const environments = await planPruning({ ...what, ...(env === undefined ? {} : { env }) });
  const count = environments.reduce((sum, { removed, overdue }) => sum + removed.length + overdue.databases.length, 0);
  return {
    data: { environments, refused: [], isDryRun: true },
    text: (paint) =>
      [
        ...environments.flatMap((one) => [planned(one, paint), '']),
        count === 0
          ? 'There is nothing to remove.'
          : 'Nothing was removed yet. Do it: the same again with --yes (protected environments say what they need).',
      ].join('\n'),
  };
}

async function remove(what: PlanPruningOptions, { operation }: CommandContext): Promise<CommandOutcome> {
  const { pruneBackups } = await import('../../app/core/db-operations/prune-backups.js');
  const result = await pruneBackups({ ...operation, ...what });
  const { environments, refused } = result;
  return {
    data: {
      environments,
      refused: refused.map(({ environment, error: { code, message, hint } }) => ({ environment, code, message, hint })),
      isDryRun: false,
    },
    ...(refused.length === 0 ? {} : { error: refusal(result) }),
    text: (paint) =>
      environments
        .flatMap((one) => [
          `${paint.green('✓')} ${paint.bold(one.environment)}: removed ${formatCounted(one.removed.length, 'backup')} (${formatBytes(one.removedBytes)}), kept ${one.kept.length}${one.swept.length === 0 ? '' : `, swept ${formatCounted(one.swept.length, 'unfinished one')}`}`,
          ...droppedLines(one),
        ])
        .join('\n'),
  };
}

function refusal({ refused }: PruneBackupsResult): ManageDbError {
  const [first] = refused;
  const lines = refused.map(({ environment, error }) => `- ${environment}: ${error.message}`);
  return new ManageDbError(
    first?.error.code ?? 'INTERNAL',
    `Some environments were left as they are:\n${lines.join('\n')}`,
    {
      hint: 'Prune those one by one: manage_db prune-backups --env …',
      details: { refused: refused.map(({ environment, error }) => ({ environment, code: error.code })) },
    },
  );
}

function overdueLines({ environment, overdue: { databases, unknown } }: PlannedPruning, paint: Paint): string[] {
  if (unknown !== null) return [`  Previous databases of ${environment} are unknown: ${unknown}`];
  return databases.map(
    ({ name, until, sizeBytes }) =>
      `  ${paint.red('drop')} the previous database ${name}, kept until ${until}${sizeBytes === null ? '' : ` (${formatBytes(sizeBytes)})`}`,
  );
}

function droppedLines({ overdue: { databases, unknown }, droppedDatabases }: PrunedEnvironment): string[] {
  if (unknown !== null) return [`  Previous databases were left alone: ${unknown}`];
  const left = databases.filter(({ name }) => !droppedDatabases.includes(name));
  return [
    ...droppedDatabases.map((name) => `  Dropped the previous database ${name}`),
    ...left.map(
      ({ name }) =>
        `  Kept the previous database ${name}: it has logged what the live one has not, or this login may not drop it`,
    ),
  ];
}

function planned(one: PlannedPruning, paint: Paint): string {
  const { environment, kept, removed, removedBytes } = one;
  const all = [
    ...removed.map((backup) => ({ backup, fate: paint.red('remove') })),
    ...kept.map((backup) => ({ backup, fate: paint.green('keep') })),
  ].sort((a, b) => b.backup.createdAt.localeCompare(a.backup.createdAt));
  const title = `${paint.bold(environment)}: ${formatCounted(removed.length, 'backup')} to remove (${formatBytes(removedBytes)}), ${kept.length} to keep`;
  const overdue = overdueLines(one, paint);
  if (all.length === 0) return [title, ...overdue].join('\n');
  const rows = all.map(({ backup, fate }) => [
    fate,
    backup.id,
    formatAge(new Date(backup.createdAt)),
    formatBytes(backup.sizeBytes),
    backup.reasons.join('; '),
  ]);
  return [title, renderTable(paint, ['', 'id', 'age', 'size', 'why'], rows, [3]), ...overdue].join('\n');
}
