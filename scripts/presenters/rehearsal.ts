import { isFelt } from '../../app/core/db-operations/migration/rehearse/lock-words.js';
import type { Rehearsal, RehearsedMigration, StepFailure } from '../../app/core/db-operations/rehearse-migrations.js';
import { ManageDbError } from '../../app/core/errors.js';
import type { CommandOutcome } from '../command.js';
import type { Paint } from './paint.js';
import { printable, printableLines } from './printable.js';
import { differenceLines } from './schema-differences.js';
import { formatBytes, formatCount, formatCounted, formatDuration } from './units.js';

/** What a rehearsal has shown: its report, and a failure where the migrations would not do. */
export function rehearsalOutcome(rehearsal: Rehearsal | null): CommandOutcome {
  if (rehearsal === null)
    return { data: { rehearsal: null }, text: () => 'No migration is pending: nothing to rehearse.' };
  const error = failureOf(rehearsal);
  return {
    data: { rehearsal },
    warnings: rehearsal.warnings,
    text: (paint) => renderRehearsal(rehearsal, paint),
    ...(error === null ? {} : { error }),
  };
}

/** For people: what each migration does, and whether it can be undone. */
export function renderRehearsal(rehearsal: Rehearsal, paint: Paint): string {
  const { origin, database, migrations, newDrift, outcome, durationMs, checksum, path } = rehearsal;
  const copied = { template: 'copied by the server', backup: `restored from ${origin.backup}`, stream: 'streamed' };
  const drift = (newDrift ?? []).map(
    ({ schema, table, name, state, recommendation }) =>
      `  ${paint.yellow('!')} ${printable(`trigger ${name} on ${schema}.${table}`)} would be ${state}: ${printable(recommendation)}`,
  );
  const mark = outcome === 'clean' ? paint.green('✓') : outcome === 'unclean' ? paint.yellow('!') : paint.red('✗');
  return [
    `On a copy of ${printable(database)}, ${copied[origin.from]}. ${printable(origin.because)}`,
    '',
    ...migrations.flatMap((migration) => [...migrationLines(migration, paint), '']),
    ...(drift.length === 0 ? [] : [...drift, '']),
    `${mark} ${paint.bold(OUTCOMES[outcome])} in ${formatDuration(durationMs)}; the copy is gone`,
    `  report    ${printable(path)}`,
    `  checksum  ${checksum}`,
  ].join('\n');
}

const OUTCOMES = {
  clean:
    'rehearsed: applied, and rolled back, as far as there is a way down, without a trace in definitions and rows that were compared',
  unclean: 'rehearsed: applied, but not rolled back without a trace',
  failed: 'rehearsed: it cannot be applied',
} as const;

function migrationLines(migration: RehearsedMigration, paint: Paint): readonly string[] {
  const { version, name, state, durationMs, failure } = migration;
  const title = paint.bold(printable(`${version}_${name}`));
  if (state === 'not_run') return [`${paint.dim('-')} ${title} was not run`];
  if (failure !== null) return [`${paint.red('✗')} ${title} failed`, ...failureLines(failure)];
  return [
    `${paint.green('✓')} ${title} ${formatDuration(durationMs ?? 0)}`,
    ...lockLines(migration, paint),
    ...migration.rewritten.map(
      ({ schema, name: table, rows, bytes }) =>
        `    rewrites ${printable(`${schema}.${table}`)}: ${formatCounted(rows, 'row')}, ${formatBytes(bytes)}`,
    ),
    ...migration.indexes.map(
      ({ schema, name: index, table, bytes, isAgain }) =>
        `    builds ${printable(`${schema}.${index}`)} on ${printable(table)}${isAgain ? ' again' : ''}: ${formatBytes(bytes)}`,
    ),
    ...(migration.changedRows ?? []).map(
      ({ schema, name: table, inserted, updated, deleted }) =>
        `    changes ${printable(`${schema}.${table}`)}: ${formatCount(inserted)} inserted, ${formatCount(updated)} updated, ${formatCount(deleted)} deleted`,
    ),
    ...rollbackLines(migration, paint),
  ];
}

/** What nobody notices is only counted. */
function lockLines({ locks, areLocksSampled }: RehearsedMigration, paint: Paint): readonly string[] {
  const felt = locks.filter(({ lock }) => isFelt(lock));
  const others = locks.length - felt.length;
  return [
    ...felt.map(
      ({ schema, name, lock, blocks }) =>
        `    ${paint.yellow('locks')} ${printable(`${schema}.${name}`)} ${inSql(lock)}: blocks ${blocks}`,
    ),
    ...(others === 0
      ? []
      : [paint.dim(`    locks ${formatCounted(others, 'more table')} that others can use meanwhile`)]),
    ...(areLocksSampled
      ? [paint.dim('    its locks were looked at every few milliseconds: a short one may be missing')]
      : []),
  ];
}

/** `AccessExclusiveLock` → `ACCESS EXCLUSIVE`. */
function inSql(lock: string): string {
  return lock
    .replace(/Lock$/, '')
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .toUpperCase();
}

function rollbackLines({ rollback }: RehearsedMigration, paint: Paint): readonly string[] {
  const { state, downMs, upAgainMs, afterDown, afterUpAgain, failure } = rollback;
  const times = `down ${formatDuration(downMs ?? 0)}, up again ${formatDuration(upAgainMs ?? 0)}`;
  switch (state) {
    case 'clean':
      return [`    rollback is clean (${times})`];
    case 'irreversible':
      return [`    ${paint.yellow('no way down')}: the file has no "-- migrate:down"`];
    case 'not_tried':
      return [paint.dim('    rollback was not tried: another migration is in the way')];
    case 'failed':
      return [
        `    ${paint.red('rollback')}: ${downMs === null ? 'down failed' : 'down worked, up again failed'}`,
        ...(failure === null ? [] : failureLines(failure)),
        ...differenceLines(afterDown).map((line) => `      after down, ${line}`),
      ];
    default:
      return [
        `    ${paint.yellow('rollback is not clean')} (${times})`,
        ...differenceLines(afterDown).map((line) => `      after down, ${line}`),
        ...differenceLines(afterUpAgain).map((line) => `      after up again, ${line}`),
      ];
  }
}

/** Indented, with the hint at the end. */
export function failureLines({ message, hint }: StepFailure): readonly string[] {
  return [...printableLines(message).split('\n'), ...(hint === null ? [] : [`→ ${printable(hint)}`])].map(
    (line) => `      ${line}`,
  );
}

function failureOf({ outcome, environment, id, migrations, path }: Rehearsal): ManageDbError | null {
  if (outcome === 'clean') return null;
  const failed = migrations.find(({ state }) => state === 'failed');
  const names = migrations
    .filter(({ rollback }) => ['unclean', 'failed'].includes(rollback.state))
    .map(({ version, name }) => `${version}_${name}`);
  const message =
    failed !== undefined
      ? `${failed.version}_${failed.name} cannot be applied to ${environment} as it is.`
      : `Rolling back is not clean: ${names.join(', ')}.`;
  return new ManageDbError('SQL_FAILED', `${message} ${environment} itself was not changed.`, {
    hint: 'Correct the file, and rehearse again.',
    details: { rehearsal: id, report: path, outcome },
  });
}
