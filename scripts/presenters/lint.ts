import { relative } from 'node:path';
import type { LintedStatement, LintFinding, LintResult } from '../../app/core/db-operations/lint-migrations.js';
import type { Paint } from './paint.js';
import { printable } from './printable.js';
import type { Style } from './style.js';
import { formatBytes, formatCounted } from './units.js';

/** Each finding with its lock and its safe rewrite; with `isVerbose` the locks of every statement. */
export function renderLint(result: Omit<LintResult, 'warnings'>, { paint, isVerbose }: Style): string {
  const { findings, statements, counts, files, database } = result;
  const sizes = database === null ? 'without a database' : `with the tables of ${database.environment}`;
  const summary = `${formatCounted(files, 'file')} linted ${sizes}: ${formatCounted(counts.error, 'error')}, ${formatCounted(counts.warning, 'warning')}, ${formatCounted(counts.notice, 'notice')}`;
  return [
    ...findings.flatMap((finding) => findingLines(finding, paint)),
    ...(isVerbose && statements.length > 0 ? ['', ...statementLines(statements, paint)] : []),
    findings.length === 0 ? `${paint.green('✓')} ${summary}` : summary,
  ].join('\n');
}

function findingLines(finding: LintFinding, paint: Paint): string[] {
  const { severity, rule, message, rewrite } = finding;
  const mark = { error: paint.red('✗'), warning: paint.yellow('!'), notice: paint.blue('i') }[severity];
  return [
    `${mark} ${placeOf(finding)}  ${paint.bold(rule)}`,
    `  ${printable(message)}`,
    ...lockLine(finding).map((text) => `  ${paint.dim(text)}`),
    ...(rewrite === null
      ? []
      : rewrite.split('\n').map((text, index) => `  ${paint.cyan(index === 0 ? '→' : ' ')} ${printable(text)}`)),
    '',
  ];
}

/** `migrations/20260101_index.sql:2:1 (down)` */
export function placeOf({ file, line, column, direction }: LintFinding): string {
  return `${printable(`${shownFile(file)}:${line}:${column}`)}${direction === 'down' ? ' (down)' : ''}`;
}

function lockLine({ lock, blocks, table, tableRows, tableBytes, estimate }: LintFinding): string[] {
  if (lock === null && estimate === null) return [];
  const size = [
    ...(tableRows === null ? [] : [`about ${formatCounted(tableRows, 'row')}`]),
    ...(tableBytes === null ? [] : [formatBytes(tableBytes)]),
  ].join(', ');
  const on = table === null ? '' : ` on ${printable(table)}`;
  const held = lock === null ? '' : `${lock}${on}${size === '' ? '' : ` (${size})`}, blocks ${blocks}`;
  return [[held, estimate].filter((part) => part !== null && part !== '').join('; ')];
}

function statementLines(statements: readonly LintedStatement[], paint: Paint): string[] {
  return [
    paint.bold('Locks of every statement'),
    ...statements.map(({ file, line, kind, locks }) => {
      const taken = locks.map(({ table, mode }) => `${mode} on ${table}`).join(', ');
      return printable(`  ${shownFile(file)}:${line}  ${kind}: ${taken === '' ? 'none on what it names' : taken}`);
    }),
    '',
  ];
}

/** As it is reached from here. */
export function shownFile(file: string): string {
  const fromHere = relative(process.cwd(), file);
  return fromHere.startsWith('..') ? file : fromHere;
}
