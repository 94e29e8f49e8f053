import type { VerifiedTriggers } from '../../app/core/db-operations/trigger-drift.js';
import { ManageDbError } from '../../app/core/errors.js';
import type { Difference, TriggerReport } from '../../app/core/triggers/trigger-report.js';
import { defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import type { Paint } from '../presenters/paint.js';
import { renderSkipped } from '../presenters/skipped-triggers.js';
import { renderTestedTriggers } from '../presenters/tested-triggers.js';
import { renderState } from '../presenters/trigger-state.js';
import { formatCount } from '../presenters/units.js';

interface Args {
  readonly schema?: string;
  readonly table?: string;
  readonly fix?: boolean;
  readonly overrideDrift?: boolean;
  readonly dryRun?: boolean;
  readonly behaviour?: boolean;
}

export const command = defineCommand<Args>({
  isMutating: ({ fix, behaviour }) => fix === true || behaviour === true,
  examples: [
    ['verify-db-triggers --env production', 'exit code 4 when something has to be done'],
    ['verify-db-triggers --behaviour', 'also whether they work: each is made to fire, and all is rolled back'],
    ['verify-db-triggers --fix', 'bring back what is missing, enable what was disabled by hand'],
    ['verify-db-triggers --fix --override-drift', 'and overwrite what was changed by hand or disabled on purpose'],
  ],
  exitCodes: { 4: 'when a trigger is not as declared and installed, or does not work (--behaviour)' },
  builder: (yargs) =>
    yargs
      .option('schema', { type: 'string', requiresArg: true, describe: 'Only in this schema' })
      .option('table', { type: 'string', requiresArg: true, describe: 'Only on this table: name, or schema.name' })
      .option('fix', { type: 'boolean', describe: 'Heal what can be healed without overwriting anybody' })
      .option('override-drift', {
        type: 'boolean',
        implies: 'fix',
        describe: 'With --fix: overwrite also what was changed by hand or disabled on purpose',
      })
      .option('behaviour', {
        type: 'boolean',
        describe: 'Also make every trigger fire, as test-db-triggers does',
      })
      .option('dry-run', { type: 'boolean', implies: 'fix', describe: 'With --fix: print the SQL, change nothing' }),
  async run({ schema, table, fix, overrideDrift, dryRun, behaviour }, { operation }) {
    const { verifyTriggers } = await import('../../app/core/db-operations/trigger-drift.js');
    const verified = await verifyTriggers({ ...operation, schema, table, fix, overrideDrift, dryRun, behaviour });
    return {
      data: verified,
      ...(verified.ok || dryRun === true ? {} : { error: drift(verified, operation.env) }),
      text: (paint) => describe(verified, paint),
    };
  },
});

function describe(
  { ok, counts, triggers, skipped, problems, fixed, behaviour }: VerifiedTriggers,
  paint: Paint,
): string {
  const drifted = triggers.filter(({ isDrift }) => isDrift);
  const summary = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${formatCount(count)} ${state}`)
    .join(', ');
  return [
    ...(fixed?.statements ?? []).map((statement) => paint.dim(`${statement.replace(/;?\s*$/, '')};`)),
    ...drifted.flatMap((one) => [
      `${one.schema}.${one.table}  ${paint.bold(one.name)}  ${renderState(one, paint)}`,
      ...one.differences.map((difference) => `  ${words(difference)}`),
      `  ${paint.cyan('→')} ${one.recommendation}`,
    ]),
    ...problems.map((problem) => paint.yellow(problem)),
    ...renderSkipped(skipped, paint),
    ...(behaviour === null ? [] : [renderTestedTriggers(behaviour, paint)]),
    `${ok ? `${paint.green('✓')} ` : ''}${summary === '' ? 'There are no triggers.' : summary}`,
  ].join('\n');
}

function words({ field, expected, actual }: Difference): string {
  return `${field}: ${expected ?? 'none'} expected, ${actual ?? 'none'} found`;
}

function drift({ triggers, problems }: VerifiedTriggers, env: string | undefined): ManageDbError {
  const flag = envFlag(env);
  const drifted = triggers.filter(({ isDrift }) => isDrift);
  const message = [
    ...(drifted.length === 0 ? [] : [`${sentence(drifted)} not as declared and installed.`]),
    ...problems,
  ].join(' ');
  return new ManageDbError('DRIFT', message === '' ? 'A trigger does not work.' : message, {
    hint: `See the lines (manage_db diff-db-triggers${flag}), or heal: manage_db verify-db-triggers --fix${flag}`,
    details: { drifted: drifted.length, problems: problems.length },
  });
}

function sentence(drifted: readonly TriggerReport[]): string {
  return drifted.length === 1 ? 'One trigger is' : `${formatCount(drifted.length)} triggers are`;
}
