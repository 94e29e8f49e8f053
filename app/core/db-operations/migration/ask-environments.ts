import type { ConnectionSettings } from '../../../config/connection-settings.js';
import { describeConfig } from '../../../config/db-config.js';
import { redact } from '../../../config/redaction.js';
import { workspaceEnvironments } from '../../../config/workspace-environments.js';
import type { Queryable } from '../../../database/queryable.js';
import { asManageDbError } from '../../../services/database-errors.js';
import { embeddedServerStatus } from '../../../services/embedded-postgres.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import { workspaceRoot } from '../../workspace-root.js';

/** What an environment has answered, or why it has not. */
export interface AskedEnvironment<T> {
  readonly name: string;
  readonly answer: { readonly found: T } | { readonly error: ManageDbError };
}

export interface AskOptions extends OperationControls {
  readonly timeLimitMs?: number | undefined;
}

const TIME_LIMIT_MS = 10_000;

type Ask<T> = (db: Queryable) => Promise<T>;

/**
 * Asks every environment of the workspace that has a database, all at the same time, each for itself and not for longer
 * than its time limit. No server is started for it and no database made: an embedded one that was never used is left out.
 *
 * @param ask is given a transaction that only reads
 * @throws ManageDbError `INTERRUPTED`, and what makes the workspace itself unreadable
 */
export async function askEnvironments<T>(ask: Ask<T>, options: AskOptions): Promise<readonly AskedEnvironment<T>[]> {
  const names = await workspaceEnvironments(workspaceRoot());
  const asked = await Promise.all(names.map((name) => askOne(name, ask, options)));
  if (options.signal?.aborted) throw new ManageDbError('INTERRUPTED', 'Interrupted; nothing was changed.');
  return asked.filter((one) => one !== null);
}

async function askOne<T>(name: string, ask: Ask<T>, options: AskOptions): Promise<AskedEnvironment<T> | null> {
  try {
    const connection = await connectionOf(name);
    return connection === null ? null : { name, answer: { found: await withinTime(connection, ask, options) } };
  } catch (error) {
    const failure = asManageDbError(error);
    return failure.code === 'DATABASE_MISSING' && (await isEmbedded(name))
      ? null
      : { name, answer: { error: failure } };
  }
}

/** `null`: it has no database, or one on the embedded server, which is not running. */
async function connectionOf(name: string): Promise<ConnectionSettings | null> {
  const { connection, problems } = await describeConfig(name);
  const [problem] = problems;
  if (problem?.code === 'MISSING_SETTING' && connection === null) return null;
  if (problem !== undefined) throw problem;
  if (connection?.server !== 'embedded') return connection;
  const { running } = await embeddedServerStatus(workspaceRoot());
  return running ? connection : null;
}

async function isEmbedded(name: string): Promise<boolean> {
  return (await describeConfig(name)).connection?.server === 'embedded';
}

/** A connection that has gone silent is left behind: nothing is open in it but a reading transaction. */
async function withinTime<T>(
  settings: ConnectionSettings,
  ask: Ask<T>,
  { signal, timeLimitMs = TIME_LIMIT_MS }: AskOptions,
): Promise<T> {
  const deadline = new AbortController();
  const late = new ManageDbError(
    'CONNECTION_TIMEOUT',
    redact(`${settings.database} of ${settings.environment} did not answer within ${timeLimitMs / 1000} s.`),
    { hint: 'manage_db doctor' },
  );
  const patient = { ...settings, connectTimeoutMs: Math.min(settings.connectTimeoutMs, timeLimitMs) };
  const either = signal === undefined ? deadline.signal : AbortSignal.any([signal, deadline.signal]);
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(late);
      deadline.abort();
    }, timeLimitMs);
    withConnection(patient, { signal: either }, (client) => reading(client, timeLimitMs, ask))
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

async function reading<T>(db: Queryable, timeLimitMs: number, ask: Ask<T>): Promise<T> {
  await db.query('begin isolation level repeatable read read only');
  await db.query(`select pg_catalog.set_config('statement_timeout', $1, true)`, [String(timeLimitMs)]);
  const found = await ask(db);
  await db.query('commit');
  return found;
}
