import { relative } from 'node:path';
import type { MigrationPlan, MigrationRun, PlannedMigration } from '../../app/core/db-operations/migrations.js';
import { envFlag } from '../env-flag.js';
import { renderLiveDifferences } from './live-differences.js';
import { renderLosses } from './losses.js';
import { NO_PAINT, type Paint } from './paint.js';
import { printable } from './printable.js';
import { formatCount, formatCounted, formatDuration } from './units.js';

/** Of many, the first and the last ones are enough to know which they are. */
const SHOWN = 20;

/** What will be done, one line each, before anybody is asked. */
export function planLines(plan: MigrationPlan, paint: Paint = NO_PAINT): string[] {
  const { migrations, losses, differences, needsBackup } = plan;
  return [
    ...shortened(migrations.map(lineOf)),
    ...renderLosses(losses, paint),
    // what is new is in the file
    ...renderLiveDifferences(differences.filter(isWorthReading), paint),
    ...(needsBackup ? ['A safety backup is made first.'] : []),
  ];
}

function isWorthReading({ state, remarks }: MigrationPlan['differences'][number]): boolean {
  return state === 'changed' || state === 'changed_by_hand' || remarks.length > 0;
}

/** What was done. */
export function renderRun(
  { isDryRun, plan, ran, pending, durationMs, schemaFile, safetyBackup, undo }: MigrationRun,
  { paint, env }: { readonly paint: Paint; readonly env: string | undefined },
): string {
  if (plan.migrations.length === 0) {
    const left =
      pending === 0
        ? 'no migration is pending'
        : `${formatCounted(pending, 'migration')} pending (manage_db apply-db-migration${envFlag(env)})`;
    return `${paint.green('✓')} nothing to do in ${paint.bold(plan.database)}: ${left}`;
  }
  if (isDryRun) {
    return [...planLines(plan, paint), paint.dim('Nothing was changed: this was a dry run.')].join('\n');
  }
  const lines = ran.map(({ version, name, direction, durationMs: took, attempts }) => {
    const tried = attempts > 1 ? `, at attempt ${attempts}` : '';
    return `${paint.green(direction === 'up' ? '✓' : '↶')} ${version} ${printable(name)}  ${paint.dim(`${formatDuration(took)}${tried}`)}`;
  });
  const ups = ran.filter(({ direction }) => direction === 'up').length;
  const downs = ran.length - ups;
  const goesUp = plan.migrations.some(({ direction }) => direction === 'up');
  const others = plan.migrations.length - ran.length;
  const done = [
    ...(downs > 0 ? [`${formatCounted(downs, 'migration')} rolled back`] : []),
    ...(ups > 0 || (downs === 0 && goesUp) ? [`${formatCounted(ups, 'migration')} applied`] : []),
    ...(others > 0 ? [`${formatCount(others)} done by another runner meanwhile`] : []),
    `${formatCount(pending)} pending`,
  ];
  return [
    ...shortened(lines),
    `${done.join(', ')}, in ${formatDuration(durationMs)}`,
    ...(schemaFile?.isChanged ? [`schema written to ${printable(schemaFile.path)}`] : []),
    ...(safetyBackup === null ? [] : [`safety backup ${safetyBackup}; back to before: ${undo}`]),
  ].join('\n');
}

function lineOf({ version, name, direction, isTransactional, statementsDone, file }: PlannedMigration): string {
  const how = isTransactional ? '' : ', statement by statement';
  const begun = statementsDone === null ? '' : `, goes on after ${formatCounted(statementsDone, 'statement')}`;
  const path = relative(process.cwd(), file);
  return `  ${direction === 'up' ? 'apply    ' : 'roll back'}  ${version} ${printable(name)}  (${path.startsWith('..') ? file : path}${how}${begun})`;
}

function shortened(lines: readonly string[]): string[] {
  if (lines.length <= SHOWN) return [...lines];
  return [...lines.slice(0, SHOWN - 2), `  … ${formatCount(lines.length - SHOWN + 1)} more`, lines.at(-1) ?? ''];
}
