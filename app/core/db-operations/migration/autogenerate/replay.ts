import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import { withConnection } from '../../../../services/with-connection.js';
import type { OperationControls } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import { type Definitions, readDefinitions } from '../../compare/read-definitions.js';
import { explained } from '../../failure.js';
import type { DatabaseProperties } from '../../manifest/manifest.js';
import type { Migration } from '../migration-files.js';
import { runSteps } from '../runner.js';
import { refuseServerWide, sourcesOf } from '../trial/server-wide.js';
import { withTrialDatabase } from '../trial/trial-database.js';

/** A database in which the migrations were replayed, and nothing else was done. */
export interface ReplayedDatabase {
  readonly definitions: Definitions;
  /** Runs `work` on a connection of its own, as a migration is run. */
  readonly connect: <T>(work: (client: Client) => Promise<T>) => Promise<T>;
  readonly read: () => Promise<Definitions>;
  /** What is not as in the live database, and what the migrations have changed on the server itself, in sentences. */
  readonly warnings: readonly string[];
}

export interface Replaying extends OperationControls {
  readonly migrations: readonly Migration[];
  /** Lets migrations do to roles and the like what they do: that is done on the server, in earnest. */
  readonly allowServerWide: boolean;
}

/**
 * Replays migrations in an empty database on the server of `target`, which is gone when `work` has ended.
 *
 * @param properties of the live database, which it is made like
 * @throws ManageDbError `SQL_FAILED` for what would reach beyond the database, `PERMISSION_DENIED` for a login without CREATEDB, and
 *   what applying migrations throws
 */
export async function withReplayed<T>(
  target: Target,
  properties: DatabaseProperties,
  { migrations, allowServerWide, ...controls }: Replaying,
  work: (replayed: ReplayedDatabase) => Promise<T>,
): Promise<T> {
  const { settings } = target;
  const { signal, onProgress } = controls;
  const steps = migrations.map((migration) => ({ migration, direction: 'up' as const }));
  if (!allowServerWide) await refuseServerWide(settings, sourcesOf(steps));
  return withTrialDatabase(target, { properties: async () => properties, signal }, async (trial) => {
    const { name: database } = trial;
    onProgress?.({
      step: `replaying ${migrations.length === 1 ? '1 migration' : `${migrations.length} migrations`} in a scratch database`,
    });
    const connect: ReplayedDatabase['connect'] = (act) =>
      withConnection(settings, { database, signal, searchPath: 'application' }, act);
    const controls = signal === undefined ? {} : { signal };
    await trial.watched(() =>
      runSteps(settings, steps, { database, ...controls }).catch((error: unknown) => {
        throw explained(error, 'It was a replay in a scratch database: no other was changed.', signal);
      }),
    );
    const read = () => withConnection(settings, { database, signal }, readAtOnce);
    return work({ definitions: await read(), connect, read, warnings: trial.warnings() });
  });
}

/** Everything at one moment. */
async function readAtOnce(client: Client): Promise<Definitions> {
  await client.query('begin isolation level repeatable read read only');
  const definitions = await readDefinitions(client, SALT);
  await client.query('rollback');
  return definitions;
}

/** What options of foreign data are compared with, for as long as this process lives. */
export const SALT = randomBytes(16).toString('hex');
