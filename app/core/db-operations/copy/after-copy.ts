import { resolve } from 'node:path';
import type { Client } from 'pg';
import type { ConnectionSettings } from '../../../config/connection-settings.js';
import type { AfterCopyHook, CopiedDatabase } from '../../../config/copy-settings.js';
import { redact } from '../../../config/redaction.js';
import { hookName } from '../../../config/resolve-copy.js';
import type { Queryable } from '../../../database/queryable.js';
import { isConnectionLost } from '../../../services/connection/connection-errors.js';
import { asManageDbError, isServerError } from '../../../services/database-errors.js';
import { inTransaction } from '../../../services/in-transaction.js';
import { checkSqlFile, readSqlFile, runSqlFile, type SqlSource } from '../../../services/sql-script.js';
import { withConnection } from '../../../services/with-connection.js';
import { codeOf, errorWith, ManageDbError, messageOf } from '../../errors.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import { workspaceRoot } from '../../workspace-root.js';
import { explained } from '../failure.js';

/** A hook that has been looked at: what runs is what was read then. */
export type ReadyHook =
  | { readonly name: string; readonly source: SqlSource }
  | { readonly name: string; readonly call: (copy: CopiedDatabase) => unknown };

export interface RanHook {
  /** The path as it is configured, or the name of the function. */
  readonly name: string;
  readonly durationMs: number;
}

export interface AfterCopy {
  /** The database that the hooks work in, which nobody else can reach. */
  readonly scratch: string;
  /** What it will be called. */
  readonly database: string;
  readonly from: string;
  readonly to: string;
  readonly hooks: readonly ReadyHook[];
  readonly controls: OperationControls;
}

/**
 * Reads the files of `afterCopy`, and refuses those that cannot work: better known before hours of copying.
 *
 * @throws ManageDbError `UNREADABLE_FILE`, `SQL_FAILED` with file, line and column for what begins or ends the transaction itself,
 *   cannot run in one, or is psql's own
 * @example const hooks = await readAfterCopy((await readCopySettings('testing')).afterCopy);
 */
export async function readAfterCopy(hooks: readonly AfterCopyHook[]): Promise<readonly ReadyHook[]> {
  const ready: ReadyHook[] = [];
  for (const hook of hooks) {
    const name = hookName(hook);
    if (typeof hook === 'function') {
      ready.push({ name, call: hook });
      continue;
    }
    const path = resolve(workspaceRoot(), hook);
    const source = { path, sql: readSqlFile(path), firstLine: 1 };
    await checkSqlFile(source);
    ready.push({ name, source });
  }
  return ready;
}

/**
 * Runs the hooks in a copy, in their order, each in a transaction of its own, in a session as an application has one.
 *
 * @param settings of the server that the copy is on
 * @throws ManageDbError `SQL_FAILED` with file, line and column (`LOCK_TIMEOUT`, `PERMISSION_DENIED` likewise), `HOOK_FAILED` for a
 *   function that fails or ends its transaction, `INTERRUPTED`, and what connecting throws; it names the hook
 * @example await runAfterCopy(target.settings, { scratch, database, from: 'production', to: 'testing', hooks, controls: { signal } });
 */
export async function runAfterCopy(settings: ConnectionSettings, copy: AfterCopy): Promise<readonly RanHook[]> {
  const { scratch, hooks, controls } = copy;
  if (hooks.length === 0) return [];
  stopIfAborted(controls.signal);
  const look = { database: scratch, signal: controls.signal, searchPath: 'application' } as const;
  return withConnection(settings, look, async (client) => {
    const ran: RanHook[] = [];
    for (const [done, hook] of hooks.entries()) {
      stopIfAborted(controls.signal);
      controls.onProgress?.({ step: `running ${hook.name} in the copy`, done, total: hooks.length });
      const start = performance.now();
      try {
        // what may be set for every session of the database
        await client.query('set default_transaction_read_only = off');
        await inTransaction(client, () => run(client, hook, copy));
      } catch (error) {
        const sentence = `afterCopy stopped at hook ${done + 1} of ${hooks.length}, ${hook.name}: the copy is not put in place.`;
        throw explained(error, sentence, controls.signal);
      }
      ran.push({ name: hook.name, durationMs: Math.round(performance.now() - start) });
    }
    return ran;
  });
}

async function run(client: Client, hook: ReadyHook, copy: AfterCopy): Promise<void> {
  if ('source' in hook) {
    await runSqlFile(client, hook.source);
    return;
  }
  const before = await transactionOf(client);
  await called(client, hook, copy);
  const after = await transactionOf(client);
  if (after === before) return;
  const what =
    after === null ? 'has gone on although a statement of it failed' : 'has ended the transaction it was given';
  throw new ManageDbError('HOOK_FAILED', `The ${hook.name} ${what}.`, {
    hint: 'It runs in one transaction, all of it or nothing: leave BEGIN, COMMIT and ROLLBACK to manage_db, and use savepoints.',
  });
}

/** A function that waits for something else than the database is not waited for when the copy is interrupted. */
async function called(
  client: Client,
  { name, call }: Extract<ReadyHook, { readonly call: unknown }>,
  { from, to, database, controls }: AfterCopy,
): Promise<void> {
  const signal = controls.signal ?? new AbortController().signal;
  let stop: () => void = () => undefined;
  const interrupted = new Promise<never>((_, reject) => {
    stop = () => reject(new ManageDbError('INTERRUPTED', 'Interrupted.'));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([call({ client, from, to, database, signal }), interrupted]);
  } catch (error) {
    throw failureOf(name, error);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function failureOf(name: string, error: unknown): unknown {
  if (isConnectionLost(error) || (error instanceof ManageDbError && error.code === 'INTERRUPTED')) return error;
  if (!isServerError(error) && !(error instanceof ManageDbError)) {
    return new ManageDbError('HOOK_FAILED', `The ${name} has failed: ${redact(messageOf(error))}`, {
      hint: 'Correct it in the configuration file.',
      cause: error,
    });
  }
  const known = asManageDbError(error);
  return errorWith(known.code, `The ${name} has failed: ${known.message}`, {
    ...(known.hint === null ? {} : { hint: known.hint }),
    details: known.details,
    cause: error,
  });
}

/** Which transaction is open, by its time; `null` for one in which a statement has failed. */
async function transactionOf(db: Queryable): Promise<string | null> {
  try {
    const { rows } = await db.query<{ began: string }>('select pg_catalog.transaction_timestamp()::text as began');
    return rows[0]?.began ?? null;
  } catch (error) {
    if (codeOf(error) === '25P02') return null;
    throw error;
  }
}
