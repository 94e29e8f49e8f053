import { basename } from 'node:path';
import { escapeLiteral } from 'pg';
import { ManageDbError } from '../../errors.js';
import { versionKey } from '../../migration-versions.js';
import type { Direction, JournalEntry } from './history.js';
import { actorSql, asOurselves, isVersion } from './records.js';
import { lockTimeoutOf, type MigrationStep, type RunContext } from './step.js';
import type { Unit } from './units.js';

export type JournaledUnit = Exclude<Unit, { kind: 'setting' }>;

/** What the journal knows a unit by; a function has no text of its own. */
export function checksumOfUnit(unit: JournaledUnit, { migration }: MigrationStep): string {
  return unit.kind === 'function' ? migration.checksum : unit.checksum;
}

/** Statements of ours that write an entry, for the open transaction. */
export function entrySql(
  context: RunContext,
  step: MigrationStep,
  {
    unit,
    state,
    before = null,
  }: { readonly unit: JournaledUnit; readonly state: 'begun' | 'done'; readonly before?: unknown },
): string[] {
  const { migration, direction } = step;
  const facts = before === null ? 'null' : `${escapeLiteral(JSON.stringify(before))}::jsonb`;
  return [
    ...asOurselves(context, lockTimeoutOf(step, context.options)),
    `insert into manage_db.migration_journal (version, direction, position, statement_checksum, state, before, actor)
    values (${escapeLiteral(migration.version)}, '${direction}', ${unit.position},
      '${checksumOfUnit(unit, step)}', '${state}', ${facts}, ${actorSql()})
    on conflict (version, direction, position) do update
    set state = excluded.state, statement_checksum = excluded.statement_checksum, actor = excluded.actor,
      before = coalesce(excluded.before, migration_journal.before), changed_at = pg_catalog.clock_timestamp()`,
  ];
}

/** Takes the entry of a statement back that has left nothing. */
export function withoutEntrySql(context: RunContext, step: MigrationStep, position: number): string[] {
  const { migration, direction } = step;
  return [
    ...asOurselves(context, lockTimeoutOf(step, context.options)),
    `delete from manage_db.migration_journal
    where ${isVersion(migration.version)} and direction = '${direction}' and position = ${position}`,
  ];
}

/**
 * What the journal says of the units of `step`, by position.
 *
 * @throws ManageDbError `MIGRATION_EDITED` when a statement that was executed is another one now
 */
export function entriesOf(
  journal: readonly JournalEntry[],
  step: MigrationStep,
  units: readonly Unit[],
): ReadonlyMap<number, JournalEntry> {
  const { migration, direction } = step;
  const own = journal.filter(
    (entry) => versionKey(entry.version) === versionKey(migration.version) && entry.direction === direction,
  );
  for (const { position, statementChecksum } of own) {
    const unit = units.find((one) => one.position === position);
    if (unit !== undefined && unit.kind !== 'setting' && checksumOfUnit(unit, step) === statementChecksum) continue;
    throw new ManageDbError(
      'MIGRATION_EDITED',
      `${basename(migration.path)} was executed up to its statement ${own.length}, and statement ${position} has changed since. Nothing more was executed.`,
      {
        hint: 'Put the statements back as they were (git checkout); those below them may be changed.',
        details: { version: migration.version, position },
      },
    );
  }
  return new Map(own.map((entry) => [entry.position, entry]));
}

/**
 * Refuses to begin something else while a migration is half done.
 *
 * @param first what will be run first
 * @param said where that is, and what did not happen
 * @throws ManageDbError `MIGRATION_UNFINISHED`
 */
export function refuseUnfinished(
  journal: readonly JournalEntry[],
  first: MigrationStep | undefined,
  said: { readonly environment?: string; readonly unchanged?: string } = {},
): void {
  const other = journal.find(
    ({ version, direction }) =>
      first === undefined ||
      versionKey(version) !== versionKey(first.migration.version) ||
      direction !== first.direction,
  );
  if (other === undefined) return;
  const { version, direction } = other;
  const { environment, unchanged = 'Nothing else was begun.' } = said;
  const command = `${direction === 'up' ? 'apply' : 'rollback'}-db-migration`;
  throw new ManageDbError(
    'MIGRATION_UNFINISHED',
    `Migration ${version} was begun (${direction}) and is not finished: ${doneIn(journal, version, direction)} of its statements are done. ${unchanged}`,
    {
      hint: `Finish it first: manage_db ${command}${environment === undefined ? '' : ` --env ${environment}`}. Its file must be in the migrations folder (git log --all -- migrations).`,
      details: { version, direction },
    },
  );
}

function doneIn(journal: readonly JournalEntry[], version: string, direction: Direction): number {
  return journal.filter((entry) => entry.version === version && entry.direction === direction && entry.state === 'done')
    .length;
}
