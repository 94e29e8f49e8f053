import type { Installation } from '../feature-tests/installation.js';
import type { FeatureTestReport, TestReport } from '../feature-tests/report.js';
import type { Paint } from './paint.js';
import { printable } from './printable.js';
import { formatCounted, formatDuration } from './units.js';

const SUBJECTS: Readonly<Record<TestReport['subject'], string>> = {
  installation: 'yours',
  library: 'library',
  cli: 'cli',
};
const WIDTH = Math.max(...Object.values(SUBJECTS).map((word) => word.length));

/** What is about to be tested, and how much of it. */
export function renderInstallation(installation: Installation, paint: Paint): string {
  const { environment, config, database, readOnlyBecause } = installation;
  const words = [
    paint.bold(environment ?? 'no environment'),
    ...(config?.connection ? [printable(config.connection.database)] : []),
    ...(database.state === 'there' ? [`PostgreSQL ${database.serverVersion}`] : []),
  ];
  const how =
    readOnlyBecause === null
      ? 'What is yours is only looked at; features are tested on scratch databases, which are dropped at the end.'
      : `Nothing but what is yours is tested, and only looked at: ${printable(readOnlyBecause)}.`;
  return `${words.join('  ')}\n${paint.dim(how)}`;
}

/** Lines for a run that goes on: a reason that many tests are skipped for is said once. */
export function liveLines(paint: Paint): {
  readonly category: (category: { readonly name: string; readonly summary: string }) => string;
  readonly test: (test: TestReport) => string;
} {
  let lastReason: string | null = null;
  return {
    category: (category) => renderCategory(category, paint),
    test: (test) => {
      const isKnown = test.outcome === 'skipped' && test.detail === lastReason;
      if (test.outcome === 'skipped') lastReason = test.detail;
      return renderTest(isKnown ? { ...test, detail: null } : test, paint);
    },
  };
}

/** The heading of a category, while it is tested. */
function renderCategory(category: { readonly name: string; readonly summary: string }, paint: Paint): string {
  return `\n${paint.bold(category.name)}  ${paint.dim(category.summary)}`;
}

/** One line a test; below it what is wrong, or why it was skipped. */
function renderTest({ name, subject, outcome, durationMs, detail, error }: TestReport, paint: Paint): string {
  const mark = { passed: paint.green('✓'), failed: paint.red('✗'), skipped: paint.yellow('-') }[outcome];
  const time = outcome === 'skipped' ? '' : `  ${paint.dim(formatDuration(durationMs))}`;
  const line = `  ${mark} ${paint.dim(SUBJECTS[subject].padEnd(WIDTH))}  ${printable(name)}${time}`;
  const below = [...(detail === null ? [] : [paint.dim(printable(detail))]), ...renderFault(error, paint)];
  return [line, ...below.map((text) => `${' '.repeat(WIDTH + 6)}${text}`)].join('\n');
}

function renderFault(error: TestReport['error'], paint: Paint): readonly string[] {
  if (error === null) return [];
  const what = paint.red(`${error.code}  ${printable(error.message)}`);
  return error.hint === null ? [what] : [what, `${paint.cyan('→')} ${printable(error.hint)}`];
}

/** One line a category, then what is there to know at the end. */
export function renderReport(report: FeatureTestReport, paint: Paint): string {
  const width = Math.max(...report.categories.map(({ name }) => name.length), 0);
  const lines = report.categories.map(({ name, ok, counts, durationMs }) => {
    const isSkipped = ok && counts.passed === 0;
    const mark = ok ? (isSkipped ? paint.yellow('-') : paint.green('✓')) : paint.red('✗');
    return `${mark} ${name.padEnd(width)}  ${inWords(counts)}  ${paint.dim(formatDuration(durationMs))}`;
  });
  const failed = report.categories.flatMap(({ name, tests }) =>
    tests.flatMap((test) =>
      test.outcome === 'failed'
        ? [
            '',
            `${paint.red('✗')} ${name}: ${printable(test.name)}`,
            ...renderFault(test.error, paint).map((line) => `  ${line}`),
          ]
        : [],
    ),
  );
  const { environment, readOnlyBecause, counts, kept, notDropped, swept, durationMs, log } = report;
  const total = `${inWords(counts)} on ${environment ?? 'no environment'} in ${formatDuration(durationMs)}`;
  return [
    ...lines,
    ...failed,
    '',
    report.ok ? `${paint.green('✓')} ${total}` : `${paint.red('✗')} ${total}`,
    ...(readOnlyBecause === null ? [] : [`  Only looked: ${printable(readOnlyBecause)}.`]),
    ...(swept.length === 0 ? [] : [`  Dropped what a killed run had left: ${swept.join(', ')}`]),
    ...notDropped.map(({ name, reason }) => paint.red(`  Could not drop ${name}: ${printable(reason)}`)),
    ...(kept.length === 0
      ? []
      : [`  Kept ${formatCounted(kept.length, 'database')}; drop them when you have seen enough:`]),
    ...kept.map((name) => `    drop database "${name}";`),
    `  Every command and its output: ${printable(log)}`,
  ].join('\n');
}

function inWords({ passed, failed, skipped }: FeatureTestReport['counts']): string {
  return [
    `${passed} passed`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(skipped === 0 ? [] : [`${skipped} skipped`]),
  ].join(', ');
}
