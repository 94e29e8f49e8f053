import { basename } from 'node:path';
import { LONGEST_LOCK_TIMEOUT_MS } from '../../../config/migration-settings.js';
import { getWorkspace } from '../../../config/workspace.js';
import { ManageDbError } from '../../errors.js';
import type { Target } from '../../safety/gate.js';
import { type CheckedStep, checkSteps } from './check-steps.js';
import { readLiveDifferences } from './live-differences/read-live-differences.js';
import { isUnsafeAllowed, refuseUnsafe } from './live-differences/refuse-unsafe.js';
import { planLosses } from './losses/plan-losses.js';
import type { MigrationPlan, MigrationRunOptions, PreparedRun, RunPolicy } from './migration-run.js';
import { type PlannedMigration, planned, readSituation } from './plan.js';
import { checkSchemaFile } from './schema-snapshot/check-schema-file.js';
import { undecidedLines } from './undecided.js';

/** @param shown what somebody has seen already: what was counted for it is not counted again */
export async function prepareRun(
  target: Target,
  options: MigrationRunOptions,
  { policy, shown }: { readonly policy: RunPolicy; readonly shown: MigrationPlan | null },
): Promise<PreparedRun> {
  const { signal } = options;
  checkLimits(options);
  const situation = await readSituation(target, signal);
  const schemaFile = options.schemaFile ?? situation.rules.schemaFile;
  if (typeof schemaFile === 'string') checkSchemaFile(schemaFile, await getWorkspace());
  const steps = await checkSteps(policy.choose(situation));
  if (steps.length === 0) return { situation, steps, plan: { ...NOTHING, database: target.database } };
  await policy.demand?.(target, situation, steps);
  if (shown !== null && essenceOf(planned(steps, situation.statuses)) === essenceOf(shown.migrations))
    return { situation, steps, plan: shown };
  const ups = steps.filter(({ direction }) => direction === 'up');
  const losses = await planLosses(target, steps, { signal });
  const live = ups.length === 0 ? NO_DIFFERENCES : await readLiveDifferences(target, ups, { signal });
  refuseUnsafe(live.unsafe, { isAllowed: isUnsafeAllowed(situation.rules.allowUnsafe) });
  return {
    situation,
    steps,
    plan: {
      database: target.database,
      migrations: planned(steps, situation.statuses),
      losses,
      differences: live.differences,
      needsBackup: target.isProtected && ups.length < steps.length,
      warnings: [
        ...live.unread.map(
          (file) => `${basename(file)} is only understood by the server: what it replaces and loses is not foreseen.`,
        ),
        ...undecidedWarnings(ups),
      ],
    },
  };
}

/** Nothing is no limit for PostgreSQL, and neither is what it rounds to nothing. */
function checkLimits({ lockTimeoutMs, lockBudgetMs }: MigrationRunOptions): void {
  for (const [flag, value] of Object.entries({ '--lock-timeout': lockTimeoutMs, '--lock-budget': lockBudgetMs })) {
    if (value === undefined || (Number.isInteger(value) && value >= 1 && value <= LONGEST_LOCK_TIMEOUT_MS)) continue;
    throw new ManageDbError(
      'USAGE',
      `${flag} takes whole milliseconds from 1 to ${LONGEST_LOCK_TIMEOUT_MS} (24 days).`,
      {
        hint: `For instance: ${flag} 2s`,
        details: { given: value },
      },
    );
  }
}

const NO_DIFFERENCES = { differences: [], unsafe: [], unread: [] } as const;

const NOTHING = { migrations: [], losses: [], differences: [], needsBackup: false, warnings: [] } as const;

function undecidedWarnings(ups: readonly CheckedStep[]): string[] {
  return ups.flatMap(({ migration: { path, down }, part }) => {
    const file = basename(path);
    const isDownUndecided = down !== null && undecidedLines(down) > 0;
    return [
      ...(undecidedLines(part) > 0
        ? [`${file} has lines that nobody has decided on (--!): they are not executed.`]
        : []),
      ...(isDownUndecided
        ? [
            `The way down of ${file} has lines that nobody has decided on (--!): once applied, it cannot be rolled back.`,
          ]
        : []),
    ];
  });
}

/** What two plans that are the same have in common. */
export function essenceOf(migrations: readonly PlannedMigration[]): string {
  return JSON.stringify(migrations.map(({ version, direction, checksum }) => [version, direction, checksum]));
}
