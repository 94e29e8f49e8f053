import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { performance } from 'node:perf_hooks';
import { escapeLiteral } from 'pg';
import { isServerError } from '../../../services/database-errors.js';
import { runStatement } from '../../../services/sql-script.js';
import { liftTimeouts } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import { stopIfAborted } from '../../progress.js';
import { type KnownRecords, notRecorded, refuseEdited } from './by-transaction.js';
import type { CheckedStep } from './check-steps.js';
import { type JournalEntry, readJournal } from './history.js';
import { entriesOf, entrySql, type JournaledUnit } from './journal.js';
import { retryForLocks } from './lock-retry.js';
import { type OpenTransaction, resultsOf } from './open-transaction.js';
import { runOutside, workOf } from './outside-transaction.js';
import { asOurselves, expectRecorded, isNotRecorded, lookSql, MARK, recordStatements } from './records.js';
import { type RunnerLock, takeStatementLock, withRunnerLock } from './runner-lock.js';
import { lockTimeoutOf, type RanMigration, type RunContext } from './step.js';
import type { Unit } from './units.js';

type UnitStep = Extract<CheckedStep, { how: 'units' }>;
type TransactionUnit = Extract<Unit, { kind: 'transaction' }>;

/**
 * Executes a step statement by statement. Each that can run in a transaction is committed together with its entry in the
 * journal; before any other is begun, that it is begun is on record, and a run after a crash looks up what has become of it.
 *
 * @returns `null` when it was done already
 */
export async function runByStatements(
  context: RunContext,
  step: UnitStep,
  records: KnownRecords,
): Promise<RanMigration | null> {
  if (context.backend === null) throw behindPooler(step);
  // a file before this one has given them back, and waiting for other runners may take long
  await liftTimeouts(context.client, 'session');
  return withRunnerLock(context, async (lock) => {
    const found = await look(context, step);
    if (await records.isDone(found)) return null;
    refuseEdited(step, found);
    try {
      const ran = await new StatementRun(context, step, lock).run();
      records.onCommitted((await look(context, step)).state);
      return ran;
    } finally {
      // also gives the lock back
      await context.client
        .query('discard all')
        .then(() => liftTimeouts(context.client, 'session'))
        .catch(() => undefined);
    }
  });
}

async function look({ client }: RunContext, { migration }: UnitStep): Promise<OpenTransaction> {
  const { rows } = await client.query<{ state: string; checksum: string | null }>(lookSql(migration.version));
  return { mark: '', state: rows[0]?.state ?? '', checksum: rows[0]?.checksum ?? null };
}

function behindPooler({ migration }: UnitStep): ManageDbError {
  return new ManageDbError(
    'INVALID_CONFIGURATION',
    `${basename(migration.path)} runs statement by statement, which takes a session of its own, and this connection leads through a pooler.`,
    { hint: 'Give the URL of the server itself, or a session pool.', details: { version: migration.version } },
  );
}

class StatementRun {
  private attempts = 1;
  private readonly mark = randomUUID();

  constructor(
    private readonly context: RunContext,
    private readonly step: UnitStep,
    private readonly lock: RunnerLock,
  ) {}

  async run(): Promise<RanMigration> {
    const { context, step } = this;
    const { migration, direction, units } = step;
    const start = performance.now();
    await this.keepSession();
    const entries = entriesOf(await readJournal(context.client), step, units);
    for (const unit of units) {
      stopIfAborted(context.options.signal);
      await this.lock.check();
      await this.keepSession();
      context.options.onProgress?.({
        step: `${basename(migration.path)}: statement ${unit.position} of ${units.length}`,
        isDetail: true,
      });
      await this.runUnit(unit, entries.get(unit.position) ?? null);
    }
    const durationMs = Math.round(performance.now() - start);
    await this.lock.check();
    const sql = [
      'begin isolation level read committed read write',
      ...asOurselves(context, lockTimeoutOf(step, context.options)),
      ...recordStatements(migration, direction, durationMs),
      expectRecorded(migration.version, direction),
      'commit',
    ].join(';\n');
    await context.client.query(sql).catch(async (error: unknown) => {
      await context.client.query('rollback').catch(() => undefined);
      throw isNotRecorded(error) ? notRecorded(migration) : error;
    });
    return { version: migration.version, name: migration.name, direction, durationMs, attempts: this.attempts };
  }

  /** A statement before may have been `DISCARD ALL`, `RESET ALL` or `pg_advisory_unlock_all()`. */
  private async keepSession(): Promise<void> {
    await takeStatementLock(this.context);
    const { rows } = await this.context.client.query<{ mark: string | null }>(
      'select pg_catalog.current_setting($1, true) as mark',
      [MARK],
    );
    if (rows[0]?.mark !== this.mark) await this.beginSession();
  }

  /** As the transaction of a file begins; but what the file sets then stays until its end. */
  private async beginSession(): Promise<void> {
    const { context, step } = this;
    const { client, options } = context;
    await client.query(
      `select pg_catalog.set_config('search_path', 'public', false) where pg_catalog.current_schema() operator(pg_catalog.=) 'manage_db'`,
    );
    await client.query(`set lock_timeout = ${lockTimeoutOf(step, options)};
      set statement_timeout = ${step.migration.options.statementTimeoutMs ?? 0};
      set standard_conforming_strings = on;
      set ${MARK} = ${escapeLiteral(this.mark)}`);
  }

  private async runUnit(unit: Unit, entry: JournalEntry | null): Promise<void> {
    const { context, step } = this;
    if (unit.kind === 'setting') {
      if (step.part.kind === 'sql') await runStatement(context.client, step.part.source, unit.statement);
      return;
    }
    if (entry?.state === 'done') {
      await this.setAgain(unit);
      return;
    }
    let isFinal = false;
    const attempt = async (tries: number): Promise<void> => {
      this.attempts = Math.max(this.attempts, tries);
      if (unit.kind === 'transaction' && entry === null && (await this.runTransaction(unit))) return;
      isFinal = !canBeLookedUp(unit);
      await runOutside(context, step, unit);
    };
    await retryForLocks(context, step, attempt, () => !isFinal);
    context.options.onCommitted?.();
  }

  /** What a block has set for the session was gone with the session that has executed it. */
  private async setAgain(unit: Unit): Promise<void> {
    const { part } = this.step;
    if (unit.kind !== 'transaction' || part.kind !== 'sql') return;
    for (const statement of unit.statements) {
      if (statement.isSessionSetting) await runStatement(this.context.client, part.source, statement);
    }
  }

  /** @returns `false`: it commits itself, such as a procedure that does, and nothing of it was executed */
  private async runTransaction(unit: TransactionUnit): Promise<boolean> {
    const { context, step } = this;
    const { client } = context;
    if (step.part.kind !== 'sql') return false;
    try {
      await client.query('begin isolation level read committed read write');
      for (const statement of unit.statements) await runStatement(client, step.part.source, statement);
      const results = resultsOf(
        await client.query([...entrySql(context, step, { unit, state: 'done' }), 'commit'].join(';\n')),
      );
      if (results.at(-1)?.command === 'COMMIT') return true;
      throw new ManageDbError('SQL_FAILED', 'The server rolled the statement back instead of committing it.');
    } catch (error) {
      await client.query('rollback').catch(() => undefined);
      if (unit.statements.length === 1 && endsTransaction(error)) return false;
      throw error;
    }
  }
}

/**
 * 2D000: a procedure or a DO block has asked to commit within a transaction of somebody else's. 25001: what this database has
 * makes it something that cannot be in one, such as REINDEX of a partitioned table.
 */
function endsTransaction(error: unknown): boolean {
  if (!(error instanceof ManageDbError) || !isServerError(error.cause)) return false;
  return ['2D000', '25001'].includes(error.cause.code);
}

/** What cannot be is not tried again: nobody knows what the first attempt has done. */
function canBeLookedUp(unit: JournaledUnit): boolean {
  const work = workOf(unit);
  return work !== null && work.kind !== 'unknown';
}
