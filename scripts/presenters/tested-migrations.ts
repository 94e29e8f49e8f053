import type { TestedMigration, TestedMigrations, TestedStep } from '../../app/core/db-operations/test-migrations.js';
import type { Paint } from './paint.js';
import { printable, printableLines } from './printable.js';
import { failureLines } from './rehearsal.js';
import { differenceLines } from './schema-differences.js';
import { formatCounted, formatDuration } from './units.js';

/** One block a migration: what was done, what differs, what its test says. */
export function renderTestedMigrations(
  { tested, replayed, because, durationMs }: TestedMigrations,
  paint: Paint,
): string {
  if (tested.length === 0) return 'There is no migration to test.';
  const failed = tested.filter(({ ok }) => !ok).length;
  const before = replayed === 0 ? '' : `, after ${formatCounted(replayed, 'earlier one')}`;
  const count = failed === 0 ? '' : `, ${paint.red(`${failed} failed`)}`;
  return [
    ...tested.flatMap((migration) => linesOf(migration, paint)),
    '',
    `${failed === 0 ? paint.green('✓') : paint.red('✗')} ${formatCounted(tested.length, 'migration')} tested in ${formatDuration(durationMs)}${before}${count}. ${because}`,
  ].join('\n');
}

function linesOf(migration: TestedMigration, paint: Paint): readonly string[] {
  const { version, name, ok, up, down, upAgain, differences, tests } = migration;
  const steps = [stepText('up', up, paint), stepText('down', down, paint), stepText('up again', upAgain, paint)];
  const failures = [up, down, upAgain].flatMap(({ failure }) => (failure === null ? [] : failureLines(failure)));
  return [
    `${ok ? paint.green('✓') : paint.red('✗')} ${paint.bold(printable(`${version}_${name}`))}  ${steps.join(', ')}`,
    ...failures,
    ...(['down', 'up_again'] as const).flatMap((after) =>
      differenceLines(differences.filter((one) => one.after === after)).map(
        (line) => `      after ${after.replace('_', ' ')}, ${line}`,
      ),
    ),
    ...tests.flatMap(({ file, ok: isPassed, passed, failed, detail }) => [
      `    ${isPassed ? paint.green('✓') : paint.red('✗')} ${printable(file)}: ${passed} passed${failed === 0 ? '' : `, ${failed} failed`}`,
      ...(detail === ''
        ? []
        : printableLines(detail)
            .split('\n')
            .map((line) => `      ${line}`)),
    ]),
  ];
}

function stepText(what: string, { state, durationMs }: TestedStep, paint: Paint): string {
  if (state === 'ok') return `${what} ${formatDuration(durationMs ?? 0)}`;
  if (state === 'none') return paint.yellow('no way down');
  return state === 'failed' ? paint.red(`${what} failed`) : paint.dim(`${what} not run`);
}
