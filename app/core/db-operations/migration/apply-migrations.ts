import { performance } from 'node:perf_hooks';
import type { Queryable } from '../../../database/queryable.js';
import { currentActor } from '../../../services/actor.js';
import { packageVersion } from '../../../services/package-root.js';
import { runSqlFile } from '../../../services/sql-script.js';
import { liftTimeouts } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import { takeAdvisoryLock } from './advisory-lock.js';
import { inTransaction } from './in-transaction.js';
import type { Migration } from './migration-files.js';

export interface AppliedMigration {
  readonly version: string;
  readonly name: string;
  readonly durationMs: number;
}

/** A migration may take long, and so may waiting for another runner. */
const LOCK_WAIT_MS = 600_000;

/**
 * Applies those of `migrations` that are pending, each in one transaction with its record, and returns them. Any number
 * of runners may be at it: each migration is applied once.
 *
 * @param client a connection of its own without an open transaction; the schema manage_db is in place
 * @throws ManageDbError `MIGRATION_EDITED`, `SQL_FAILED` with file, line and column, `LOCK_TIMEOUT`
 */
export async function applyMigrations(
  client: Queryable,
  migrations: readonly Migration[],
  { onProgress, signal }: OperationControls = {},
): Promise<AppliedMigration[]> {
  const applied: AppliedMigration[] = [];
  let history = await readHistory(client);
  refuseEdited(migrations, history);
  for (const [done, migration] of migrations.entries()) {
    if (history.has(migration.version)) continue;
    signal?.throwIfAborted();
    onProgress?.({ step: `applying ${migration.version}_${migration.name}`, done, total: migrations.length });
    const durationMs = await inTransaction(client, async () => {
      await takeAdvisoryLock(client, 'migrations', { timeoutMs: LOCK_WAIT_MS, signal });
      // another runner may have come first, with another state of the files too
      history = await readHistory(client);
      refuseEdited(migrations, history);
      return history.has(migration.version) ? null : applyOne(client, migration);
    });
    if (durationMs !== null) applied.push({ version: migration.version, name: migration.name, durationMs });
  }
  return applied;
}

async function readHistory(client: Queryable): Promise<Map<string, string>> {
  const { rows } = await client.query<{ version: string; checksum: string }>(
    'select version, checksum from manage_db.migrations',
  );
  return new Map(rows.map(({ version, checksum }) => [version, checksum]));
}

function refuseEdited(migrations: readonly Migration[], history: ReadonlyMap<string, string>): void {
  const edited = migrations.filter(({ version, checksum }) => (history.get(version) ?? checksum) !== checksum);
  if (edited.length === 0) return;
  throw new ManageDbError(
    'MIGRATION_EDITED',
    `Changed after they were applied: ${edited.map(({ path }) => path).join(', ')}. No migration was applied.`,
    {
      hint: 'Put the file back as it was (git checkout), and make the change a new migration.',
      details: { versions: edited.map(({ version }) => version) },
    },
  );
}

async function applyOne(client: Queryable, migration: Migration): Promise<number> {
  const start = performance.now();
  await runSqlFile(client, migration.up);
  const durationMs = Math.round(performance.now() - start);
  // the file may have changed its role and settings
  await client.query('reset role; reset session authorization; reset all');
  // which brings back the limits of the database and the role, and a commit may take long
  await liftTimeouts(client, 'transaction');
  await client.query(
    `insert into manage_db.migrations (version, name, checksum, duration_ms, actor, tool)
     values ($1, $2, $3, $4, coalesce($5, session_user), $6)`,
    [
      migration.version,
      migration.name,
      migration.checksum,
      durationMs,
      currentActor(),
      `manage_db ${packageVersion()}`,
    ],
  );
  return durationMs;
}
