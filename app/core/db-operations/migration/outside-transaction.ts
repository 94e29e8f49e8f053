import { basename } from 'node:path';
import { type OutsideWork, runStatement } from '../../../services/sql-script.js';
import { ManageDbError } from '../../errors.js';
import type { CheckedStep } from './check-steps.js';
import { readJournal } from './history.js';
import { entriesOf, entrySql, type JournaledUnit, withoutEntrySql } from './journal.js';
import { runFunction } from './run-function.js';
import { type Before, type Outcome, readBefore, readOutcome, removalOfFailedIndex } from './statement-outcome.js';
import type { RunContext } from './step.js';

type UnitStep = Extract<CheckedStep, { how: 'units' }>;

const NOT_BEGUN: Exclude<Outcome, { state: 'unknown' }> = { state: 'not done', repairs: [], instead: null };

/**
 * Executes what cannot be committed together with its entry in the journal. That it is begun is written first; if it was
 * begun before, what has become of it is looked up in the catalog, and what a failed attempt has left is removed.
 *
 * @throws ManageDbError `MIGRATION_UNFINISHED` when nobody can tell; those of executing
 */
export async function runOutside(context: RunContext, step: UnitStep, unit: JournaledUnit): Promise<void> {
  const outcome = await outcomeUntilNow(context, step, unit);
  for (const repair of outcome.repairs) await patiently(context, repair);
  if (outcome.state === 'not done') {
    if (outcome.instead === null) await begin(context, step, unit);
    await execute(context, step, { unit, instead: outcome.instead });
  }
  await commit(context, entrySql(context, step, { unit, state: 'done' }));
}

/** What has become of it in a run before this one, or in an attempt before this one. */
async function outcomeUntilNow(
  context: RunContext,
  step: UnitStep,
  unit: JournaledUnit,
): Promise<Exclude<Outcome, { state: 'unknown' }>> {
  const entry = entriesOf(await readJournal(context.client), step, step.units).get(unit.position);
  const outcome = entry === undefined ? NOT_BEGUN : await lookUp(context, unit, entry.before as Before | null);
  if (outcome.state !== 'unknown') return outcome;
  switch (context.options.unknownStatement) {
    case 'done':
      return { state: 'done', repairs: [] };
    case 'again':
      return NOT_BEGUN;
    default:
      throw unknown(step, unit);
  }
}

async function lookUp({ client }: RunContext, unit: JournaledUnit, before: Before | null): Promise<Outcome> {
  const work = workOf(unit);
  return work === null ? { state: 'unknown' } : readOutcome(client, work, before ?? { kind: 'nothing' });
}

/** What can be looked up of it; `null`: nothing. */
export function workOf(unit: JournaledUnit): OutsideWork | null {
  if (unit.kind === 'outside') return unit.work;
  const [statement, ...more] = unit.kind === 'transaction' ? unit.statements : [];
  return more.length === 0 ? (statement?.outside ?? null) : null;
}

/** Removes what stands in the way, and writes that it is begun. */
async function begin(context: RunContext, step: UnitStep, unit: JournaledUnit): Promise<void> {
  const { client, options } = context;
  const work = workOf(unit);
  if (work !== null) {
    const removal = await removalOfFailedIndex(client, work);
    if (removal !== null) {
      options.onProgress?.({ step: `healing an index that was never finished: ${removal}` });
      await patiently(context, removal);
    }
  }
  const before: Before = work === null ? { kind: 'nothing' } : await readBefore(client, work);
  await commit(context, entrySql(context, step, { unit, state: 'begun', before }));
  options.onCommitted?.();
}

async function execute(
  context: RunContext,
  step: UnitStep,
  { unit, instead }: { readonly unit: JournaledUnit; readonly instead: string | null },
): Promise<void> {
  const { client } = context;
  try {
    if (unit.kind === 'function') await runFunction(client, unit.part, context.options.signal);
    else if (instead !== null) await patiently(context, instead);
    else if (step.part.kind === 'sql') {
      const { source } = step.part;
      const statements = unit.kind === 'outside' ? [unit.statement] : unit.statements;
      // what does not lock others out may wait: for old snapshots, too, which a lock timeout would end
      const isPatient = unit.kind === 'outside' && isConcurrent(unit.work.kind);
      for (const statement of statements) {
        const run = () => runStatement(client, source, statement);
        await (isPatient ? withoutLockTimeout(context, run) : run());
      }
    }
  } catch (error) {
    await leaveNothing(context, step, unit).catch(() => undefined);
    throw error;
  }
}

/** After an error of the server: an index that was begun is of no use to anybody, and what was not done is not begun either. */
async function leaveNothing(context: RunContext, step: UnitStep, unit: JournaledUnit): Promise<void> {
  await context.client.query('rollback');
  const entry = entriesOf(await readJournal(context.client), step, step.units).get(unit.position);
  const outcome = await lookUp(context, unit, (entry?.before ?? null) as Before | null);
  if (outcome.state !== 'not done' || outcome.instead !== null) return;
  for (const repair of outcome.repairs) await patiently(context, repair);
  await commit(context, withoutEntrySql(context, step, unit.position));
}

function isConcurrent(kind: string): boolean {
  return ['create index', 'drop indexes', 'reindex', 'detach partition'].includes(kind);
}

function patiently(context: RunContext, statement: string): Promise<unknown> {
  return withoutLockTimeout(context, () => context.client.query(statement));
}

async function withoutLockTimeout<T>({ client }: RunContext, work: () => Promise<T>): Promise<T> {
  const { rows } = await client.query<{ before: string }>(
    `select pg_catalog.current_setting('lock_timeout') as before, pg_catalog.set_config('lock_timeout', '0', false)`,
  );
  try {
    return await work();
  } finally {
    await client
      .query(`select pg_catalog.set_config('lock_timeout', $1, false)`, [rows[0]?.before ?? '0'])
      .catch(() => undefined);
  }
}

async function commit({ client }: RunContext, statements: readonly string[]): Promise<void> {
  try {
    await client.query(['begin isolation level read committed read write', ...statements, 'commit'].join(';\n'));
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

function unknown({ migration }: UnitStep, { position }: JournaledUnit): ManageDbError {
  return new ManageDbError(
    'MIGRATION_UNFINISHED',
    `Statement ${position} of ${basename(migration.path)} was begun by a run that has ended, and nobody can tell from the catalog whether it was finished.`,
    {
      hint: 'Look at what it does, then run again with --unknown-statement done or --unknown-statement again.',
      details: { version: migration.version, position },
    },
  );
}
