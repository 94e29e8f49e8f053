import type { SchemaUpdated, SchemaUpdatePlan } from '../../app/core/db-operations/copy/schema-update.js';
import { qualified } from '../../app/core/db-operations/inspection/find-relation.js';
import { printable } from './printable.js';
import type { Style } from './style.js';
import { formatCounted, formatDuration } from './units.js';

const WAITS = {
  everybody: 'readers and writers wait',
  writers: 'writers wait',
  nobody: 'only other definitions wait',
} as const;

/** What would be executed, with what it puts at risk; then what would be lost, and what is in the way. Warnings are the frame's. */
export function renderSchemaUpdatePlan(plan: SchemaUpdatePlan, { paint, isVerbose }: Style): string {
  const { from, to, statements, locks, losses, obstacles, remaining } = plan;
  const [ours, theirs] = [paint.bold(from.environment), paint.bold(to.environment)];
  if (statements.length === 0 && obstacles.length === 0) {
    return [
      `${paint.green('✓')} Nothing has to be done: ${theirs} is like ${ours}.`,
      ...remainingLines(remaining),
    ].join('\n');
  }
  return [
    `${formatCounted(statements.length, 'statement')} to make the schema of ${theirs} like that of ${ours}; rows stay.`,
    ...statements.flatMap((statement) => statementLines(statement, { paint, isVerbose })),
    ...titled(
      paint.bold('Locked until the end'),
      locks.map((lock) => `${printable(qualified(lock))}: ${WAITS[lock.waits]}`),
    ),
    ...titled(paint.red('Lost'), losses.map(printable)),
    ...titled(paint.red('In the way'), obstacles.map(printable)),
    ...remainingLines(remaining),
  ].join('\n');
}

/** What was done, and what leads back. */
export function renderSchemaUpdate(updated: SchemaUpdated, { paint }: Style): string {
  const { statements, durationMs, safetyBackup, undo, losses, remaining } = updated;
  return [
    ...titled(paint.bold('Lost'), losses.map(printable)),
    ...remainingLines(remaining, 'Still different'),
    `${paint.green('✓')} ${formatCounted(statements, 'statement')} executed in ${formatDuration(durationMs)}`,
    ...(safetyBackup === null || undo === null ? [] : [`What it was is backup ${safetyBackup}; back to it: ${undo}`]),
  ].join('\n');
}

/** Without `isVerbose` the first line of each statement. */
function statementLines({ sql, risks }: SchemaUpdatePlan['statements'][number], { paint, isVerbose }: Style): string[] {
  const lines = sql.split('\n').filter((line) => line.trim() !== '' && !/^(--|SET default_)/.test(line));
  const shown = isVerbose ? lines : lines.slice(0, 1);
  const more = shown.length < lines.length ? ' …' : '';
  return [
    `  ${shown.map(printable).join('\n  ').replace(/;$/, '')}${more === '' ? ';' : more}`,
    ...risks.map(
      ({ kind, text }) => `    ${kind === 'loss' ? paint.red(printable(text)) : paint.dim(printable(text))}`,
    ),
  ];
}

function remainingLines(remaining: SchemaUpdatePlan['remaining'], title = 'Will be different all the same'): string[] {
  return titled(
    title,
    remaining.map(({ kind, name, changes }) => {
      const properties = changes.map(({ property }) => property).join(', ');
      return printable(`${kind} ${name}${properties === '' ? '' : `: ${properties}`}`);
    }),
  );
}

function titled(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}
