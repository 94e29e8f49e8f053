import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { pinned } from '../../../services/catalog-path.js';
import { endWithUs } from '../../../services/end-with-us.js';
import { withConnection } from '../../../services/with-connection.js';
import { versionKey } from '../../migration-versions.js';
import { stopIfAborted } from '../../progress.js';
import { runByStatements } from './by-statements.js';
import { type KnownRecords, runInTransaction } from './by-transaction.js';
import { type CheckedStep, checkSteps } from './check-steps.js';
import { explainRun, UNSETTLED } from './explain-run.js';
import { type History, readHistory } from './history.js';
import { refuseUnfinished } from './journal.js';
import type { OpenTransaction } from './open-transaction.js';
import { FLUSHED, LOG_END, LOOK_AT_STATE } from './records.js';
import type { Backend, MigrationStep, RanMigration, RunContext, RunOptions } from './step.js';

export type { MigrationStep, RanMigration, RunOptions } from './step.js';

/**
 * Runs `steps` in this order. What is applied already, or going down is not, is skipped; any number of runners may be at
 * it, and each step is done once. A transactional step is committed together with its record; any other goes statement
 * by statement, and goes on where a run before it has ended.
 *
 * Nothing is executed before every file was read by PostgreSQL's parser.
 *
 * @throws ManageDbError `SQL_FAILED` with file, line and column, `LOCK_TIMEOUT` naming the sessions in the way,
 *   `MIGRATION_UNFINISHED`, `INTERRUPTED`, `INVALID_CONFIGURATION`, and what `onHistory` throws; always with what was and
 *   was not applied
 * @example await runSteps(settings, pending.map((migration) => ({ migration, direction: 'up' })), { database: scratch.name });
 */
export async function runSteps(
  settings: ConnectionSettings,
  steps: readonly MigrationStep[],
  options: RunOptions = {},
): Promise<RanMigration[]> {
  const { database, signal } = options;
  const place = { ...(database === undefined ? {} : { database }), signal };
  const checked = await checkSteps(steps);
  const ran: RanMigration[] = [];
  let current: MigrationStep | null = null;
  let backend: Backend | null = null;
  let isSettled = true;
  try {
    const { state, history } = await withConnection(settings, place, async (db) => {
      await ensureSchema(db);
      // first what they are known by: a change after that is noticed
      const { rows } = await db.query<{ state: string }>(LOOK_AT_STATE);
      return { state: rows[0]?.state ?? '', history: await readHistory(db) };
    });
    options.onHistory?.(history);
    await withConnection(settings, { ...place, searchPath: 'application' }, async (client) => {
      const run = new Run({ settings, client, options, ...(await readSession(client)) }, history, state);
      backend = run.backend;
      run.refuseUnfinished(checked);
      try {
        for (const [done, step] of checked.entries()) {
          if (run.isDone(step)) continue;
          stopIfAborted(signal);
          options.onProgress?.({
            step: `${step.direction === 'up' ? 'applying' : 'rolling back'} ${basename(step.migration.path)}`,
            done,
            total: checked.length,
          });
          current = step;
          const result = await run.one(step, done === checked.length - 1);
          current = null;
          if (result === null) continue;
          ran.push(result);
          await options.onRan?.(result);
        }
      } finally {
        isSettled = await run.settle();
      }
    });
  } catch (error) {
    throw await explainRun(error, { settings, options, steps, ran, current, backend, isSettled });
  }
  if (!isSettled) options.onWarning?.(UNSETTLED);
  return ran;
}

/** The server writes its log three times a second at least. */
const SETTLE_MS = 10_000;

/** One session that works through steps, and what it knows of the records. */
class Run {
  private readonly context: RunContext;
  private applied: Set<string>;

  constructor(
    context: RunContext,
    private history: History,
    /** What the records are known by. */
    private state: string,
  ) {
    this.context = context;
    this.applied = versionsOf(history);
  }

  get backend(): Backend | null {
    return this.context.backend;
  }

  refuseUnfinished(steps: readonly CheckedStep[]): void {
    refuseUnfinished(
      this.history.journal,
      steps.find((step) => !this.isDone(step)),
      { environment: this.context.settings.environment },
    );
  }

  isDone({ migration, direction }: MigrationStep): boolean {
    return this.applied.has(versionKey(migration.version)) === (direction === 'up');
  }

  async one(step: CheckedStep, isLast: boolean): Promise<RanMigration | null> {
    const records: KnownRecords = {
      state: this.state,
      isDone: async (found) => {
        await this.refresh(step, found);
        return this.isDone(step);
      },
      onCommitted: (state) => {
        this.state = state;
        this.context.options.onCommitted?.();
      },
    };
    const result =
      step.how === 'transaction'
        ? await runInTransaction(this.context, step, records, isLast)
        : await runByStatements(this.context, step, records);
    // its commits have waited for those before them; where another runner has done it, there were none
    if (step.how === 'units' && result !== null) this.context.isAhead = false;
    if (step.direction === 'up') this.applied.add(versionKey(step.migration.version));
    else this.applied.delete(versionKey(step.migration.version));
    return result;
  }

  /**
   * Waits until all that was committed is on the disk: whoever is told that it is applied must not be told so in vain.
   *
   * @returns `false`: the server has not said that it is
   */
  async settle(): Promise<boolean> {
    if (!this.context.isAhead) return true;
    const { client } = this.context;
    try {
      const { rows } = await client.query<{ lsn: string }>(LOG_END);
      const deadline = Date.now() + SETTLE_MS;
      while (Date.now() < deadline) {
        const { rows: found } = await client.query<{ flushed: boolean }>(FLUSHED, [rows[0]?.lsn]);
        if (found[0]?.flushed) return true;
        await sleep(20);
      }
      return false;
    } catch {
      // the connection is lost: what is there is asked afterwards, of a server that has recovered
      return true;
    }
  }

  /** Another runner may have come first, with another state of the files too. */
  private async refresh(step: CheckedStep, { state }: OpenTransaction): Promise<void> {
    if (state === this.state) return;
    this.state = state;
    const { settings, options } = this.context;
    const { database, signal } = options;
    const place = { ...(database === undefined ? {} : { database }), signal };
    this.history = await withConnection(settings, place, readHistory);
    this.applied = versionsOf(this.history);
    options.onHistory?.(this.history);
    refuseUnfinished(this.history.journal, step, { environment: settings.environment });
  }
}

type Session = Pick<RunContext, 'serverMajor' | 'backend' | 'noticesLoss' | 'isQuick' | 'isAhead'>;

async function readSession(client: Client): Promise<Session> {
  await endWithUs(client);
  const { rows } = await pinned(client).query<{
    major: number;
    pid: number;
    startedAt: string;
    interval: string;
    strings: string;
  }>(
    `select pg_catalog.current_setting('server_version_num')::int / 10000 as major, pg_catalog.pg_backend_pid() as pid,
       (select backend_start::text from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid()) as "startedAt",
       pg_catalog.current_setting('client_connection_check_interval') as interval,
       (select reset_val from pg_catalog.pg_settings where name = 'standard_conforming_strings') as strings`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('a session without a backend');
  // while statements are executed that commit as they go, it is better when they are finished
  await client.query('reset client_connection_check_interval');
  const { processID } = client as unknown as { readonly processID: number | null };
  const { major: serverMajor, pid, startedAt, interval, strings } = row;
  const isDirect = pid === processID;
  return {
    serverMajor,
    backend: isDirect ? { pid, startedAt } : null,
    noticesLoss: interval !== '0',
    isQuick: isDirect && strings === 'on',
    isAhead: false,
  };
}

function versionsOf({ applied }: History): Set<string> {
  return new Set(applied.map(({ version }) => versionKey(version)));
}
