import { EXIT, ManageDbError } from '../../app/core/errors.js';
import { type CommandContext, type CommandOutcome, defineCommand } from '../command.js';
import { envFlag } from '../env-flag.js';
import type { FeatureTestReport } from '../feature-tests/report.js';
import { liveLines, renderInstallation, renderReport } from '../presenters/feature-tests.js';
import { type Paint, paintFor } from '../presenters/paint.js';
import { formatCounted } from '../presenters/units.js';

interface Args {
  readonly category?: readonly string[];
  readonly list?: boolean;
  readonly jsonFile?: string;
  readonly junit?: string;
  readonly keep?: boolean;
  readonly color: boolean;
}

export const command = defineCommand<Args>({
  isMutating: false,
  exitCodes: { 1: 'when a test has failed' },
  repeatable: ['category'],
  examples: [
    ['test-db-features', 'every category, with the active environment'],
    ['test-db-features --category triggers --category safety', 'only these'],
    ['test-db-features --env production', 'a protected environment: it is only looked at'],
    ['test-db-features --json features.json --junit features.xml', 'for CI: exit 1 when something failed'],
    ['test-db-features --list', 'what would be tested'],
  ],
  builder: (yargs) =>
    yargs
      .option('category', {
        type: 'array',
        string: true,
        requiresArg: true,
        describe: 'Only this category; may be given several times',
      })
      .option('list', { type: 'boolean', describe: 'Show the categories and their tests, and run none' })
      .option('json-file', {
        type: 'string',
        requiresArg: true,
        describe: 'Write the report as JSON into this file; --json FILE is the same',
      })
      .option('junit', { type: 'string', requiresArg: true, describe: 'Write the report as JUnit XML into this file' })
      .option('keep', { type: 'boolean', describe: 'Leave the scratch databases on the server' }),
  async run(args, context) {
    const { chooseCategories } = await import('../feature-tests/categories.js');
    const categories = chooseCategories(args.category ?? []);
    if (args.list === true) {
      const { testsOf } = await import('../feature-tests/feature-test.js');
      return list(
        categories.map(({ name, summary, declare }) => ({
          name,
          summary,
          tests: testsOf(declare, false).tests.map((test) => ({ name: test.name, subject: test.subject })),
        })),
      );
    }
    await refuseUnknownEnvironment(context);
    // before the run: after it the reports would be lost
    const { refuseReportFiles } = await import('../feature-tests/report-files.js');
    refuseReportFiles(args);
    const { lookAtInstallation } = await import('../feature-tests/installation.js');
    const { newLog } = await import('../feature-tests/log-file.js');
    const { rememberActiveEnvironment } = await import('../feature-tests/active-environment.js');
    const { runFeatureTests } = await import('../feature-tests/run-feature-tests.js');
    const active = rememberActiveEnvironment(context.workspace);
    const paint = paintFor(process.stderr, args.color);
    const installation = await lookAtInstallation(context.workspace, context.env);
    context.say(renderInstallation(installation, paint));
    const live = liveLines(paint);
    const report = await runFeatureTests({
      installation,
      active,
      categories,
      keep: args.keep === true,
      env: context.env,
      log: newLog(context.workspace),
      signal: context.signal,
      listener: {
        onCategory: (category) => context.say(live.category(category)),
        onTest: (test) => context.say(live.test(test)),
      },
    });
    await writeReports(report, args, context);
    return outcomeOf(report, context.env);
  },
});

/** What is typed is the line's mistake; what a file or a variable says is the workspace's, and a test finds it. */
async function refuseUnknownEnvironment({ env, workspace }: CommandContext): Promise<void> {
  if (env === undefined) return;
  const { workspaceEnvironments } = await import('../../app/config/workspace-environments.js');
  const { assertKnownEnvironment, normalizeEnv } = await import('../../app/core/environment-names.js');
  // a configuration file that cannot be read is a test's to find, too
  await workspaceEnvironments(workspace).catch(() => []);
  assertKnownEnvironment(normalizeEnv(env), workspace);
}

async function writeReports(report: FeatureTestReport, { jsonFile, junit }: Args, context: CommandContext) {
  const { junitXml } = await import('../feature-tests/junit.js');
  const { writeReportFile } = await import('../feature-tests/report-files.js');
  const files = [
    ...(jsonFile === undefined ? [] : [[jsonFile, `${JSON.stringify(report, null, 2)}\n`] as const]),
    ...(junit === undefined ? [] : [[junit, junitXml(report)] as const]),
  ];
  for (const [path, text] of files) {
    writeReportFile(path, text);
    context.say(`wrote ${path}`);
  }
}

function outcomeOf(report: FeatureTestReport, env: string | undefined): CommandOutcome {
  const text = (paint: Paint) => renderReport(report, paint);
  if (report.ok) return { data: report, text, exitCode: EXIT.done };
  if (report.interrupted) return { data: report, text, error: interruption(report, env) };
  const failed = report.categories.filter(({ ok }) => !ok).map(({ name }) => name);
  if (failed.length === 0) return { data: report, text, error: leftBehind(report) };
  const [first = ''] = failed;
  return {
    data: report,
    text,
    error: new ManageDbError(
      'FEATURE_TEST_FAILED',
      `${report.counts.failed === 1 ? 'One test' : `${report.counts.failed} tests`} failed, in: ${failed.join(', ')}.`,
      {
        hint: `Mend what it says, then look again: manage_db test-db-features --category ${first}${report.environment === null ? '' : ` --env ${report.environment}`}`,
        details: { categories: failed },
      },
    ),
  };
}

/** What was found so far is shown with it, and in the files. */
function interruption(report: FeatureTestReport, env: string | undefined): ManageDbError {
  const { categories, dropped, kept, notDropped } = report;
  const tests = categories.reduce((sum, category) => sum + category.tests.length, 0);
  const isKept = kept.length > 0;
  const databases = isKept ? kept : dropped;
  const were = `${formatCounted(databases.length, 'scratch database')} ${databases.length === 1 ? 'was' : 'were'}`;
  const left = notDropped.length === 0 ? '' : ` ${sayNotDropped(report)}`;
  return new ManageDbError(
    'INTERRUPTED',
    `The feature tests were interrupted after ${formatCounted(tests, 'test')}. ${were} ${isKept ? 'kept' : 'dropped'}, the scratch folder was removed, and the active environment is what it was.${left}`,
    {
      hint: `Run them again: manage_db test-db-features${envFlag(env)}`,
      details: { tests, databases },
    },
  );
}

function leftBehind(report: FeatureTestReport): ManageDbError {
  return new ManageDbError('FEATURE_TEST_FAILED', sayNotDropped(report), {
    hint: 'Remove what holds them, and test again: the next run drops them.',
    details: { notDropped: report.notDropped },
  });
}

function sayNotDropped({ notDropped }: FeatureTestReport): string {
  const each = notDropped.map(({ name, reason }) => `${name} (${reason})`).join(', ');
  return `${formatCounted(notDropped.length, 'scratch database')} could not be dropped: ${each}.`;
}

interface ListedCategory {
  readonly name: string;
  readonly summary: string;
  readonly tests: readonly { readonly name: string; readonly subject: 'installation' | 'library' | 'cli' }[];
}

function list(categories: readonly ListedCategory[]): CommandOutcome {
  return {
    data: { categories },
    text: (paint) =>
      categories
        .map(({ name, summary, tests }) =>
          [
            `${paint.bold(name)}  ${paint.dim(summary)}`,
            ...tests.map((test) => `  ${test.subject === 'installation' ? 'yours' : test.subject}: ${test.name}`),
          ].join('\n'),
        )
        .join('\n\n'),
  };
}
