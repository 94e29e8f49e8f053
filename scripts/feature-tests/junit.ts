import type { CategoryReport, FeatureTestReport, TestReport } from './report.js';

/**
 * The report as JUnit XML, which CI systems read: a suite a category, a case a test.
 *
 * @example writeFileSync('features.xml', junitXml(report));
 */
export function junitXml({ categories, counts, durationMs, startedAt, notDropped }: FeatureTestReport): string {
  const left = cleaningUp(notDropped);
  const failed = counts.failed + left.length;
  const total = counts.passed + failed + counts.skipped;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="manage_db" tests="${total}" failures="${failed}" skipped="${counts.skipped}" time="${seconds(durationMs)}" timestamp=${quoted(startedAt)}>`,
    ...[...categories, ...left].flatMap(suite),
    '</testsuites>',
    '',
  ].join('\n');
}

/** What is left behind is no test's fault, and still a failure of the run. */
function cleaningUp(notDropped: FeatureTestReport['notDropped']): readonly CategoryReport[] {
  if (notDropped.length === 0) return [];
  const message = notDropped.map(({ name, reason }) => `${name} could not be dropped: ${reason}`).join('\n');
  const error = { code: 'UNEXPECTED', message, hint: null };
  const common = { name: 'scratch databases are dropped', durationMs: 0, detail: null } as const;
  return [
    {
      name: 'cleaning-up',
      ok: false,
      durationMs: 0,
      counts: { passed: 0, failed: 1, skipped: 0 },
      tests: [{ ...common, subject: 'library', outcome: 'failed', error }],
    },
  ];
}

function suite({ name, tests, counts, durationMs }: CategoryReport): readonly string[] {
  return [
    `  <testsuite name=${quoted(name)} tests="${tests.length}" failures="${counts.failed}" skipped="${counts.skipped}" time="${seconds(durationMs)}">`,
    ...tests.flatMap((test) => testCase(name, test)),
    '  </testsuite>',
  ];
}

function testCase(
  category: string,
  { name, subject, durationMs, outcome, detail, error }: TestReport,
): readonly string[] {
  const open = `    <testcase classname=${quoted(`${category}.${subject}`)} name=${quoted(name)} time="${seconds(durationMs)}"`;
  if (outcome === 'passed') return [`${open}/>`];
  const body =
    outcome === 'skipped'
      ? `<skipped message=${quoted(detail ?? '')}/>`
      : `<failure type=${quoted(error?.code ?? '')} message=${quoted(error?.message ?? '')}>${escaped(error?.hint ?? '')}</failure>`;
  return [`${open}>`, `      ${body}`, '    </testcase>'];
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3);
}

function quoted(text: string): string {
  return `"${escaped(text)}"`;
}

/** XML 1.0 has no way to write most control characters. */
function escaped(text: string): string {
  return text
    .replaceAll(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '\u{fffd}')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\n', '&#10;');
}
