import { getWorkspace } from '../../../../config/workspace.js';
import type { Queryable } from '../../../../database/queryable.js';
import { withConnection } from '../../../../services/with-connection.js';
import { ManageDbError } from '../../../errors.js';
import { versionKey } from '../../../migration-versions.js';
import { type OperationControls, stopIfAborted } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import { readDatabaseProperties } from '../../database-state/database-properties.js';
import { explained } from '../../failure.js';
import type { DatabaseProperties } from '../../manifest/manifest.js';
import { readHistory } from '../history.js';
import { type Migration, readMigrations } from '../migration-files.js';
import { runSteps } from '../runner.js';
import { schemaReader } from '../trial/schema-state.js';
import { refuseServerWide, sourcesOf } from '../trial/server-wide.js';
import { withTrialDatabase } from '../trial/trial-database.js';
import { type ChosenMigrations, chooseMigrations } from './choose-migrations.js';
import { testSource } from './run-test-file.js';
import { type TestedMigration, testOne, untested } from './test-one.js';

export interface TestSelection {
  /** Versions, beginnings of them, or names; the pending ones by default, or all where none is pending. */
  readonly versions?: readonly string[] | undefined;
  readonly all?: boolean | undefined;
  /** Also fails where there is no way down. */
  readonly strict?: boolean | undefined;
  /** Lets migrations do to roles and the like what they do: that is done on the server, in earnest. */
  readonly allowServerWide?: boolean | undefined;
}

export interface TestedMigrations {
  /** Nothing failed. */
  readonly ok: boolean;
  /** Why these were tested, in a sentence. */
  readonly because: string;
  readonly tested: readonly TestedMigration[];
  /** Applied before, so that those could be. */
  readonly replayed: number;
  readonly warnings: readonly string[];
  readonly durationMs: number;
}

/** The work of `test-db-migration`, without the gate. */
export async function runTests(target: Target, options: TestSelection & OperationControls): Promise<TestedMigrations> {
  const startedAt = Date.now();
  const { versions: wanted = [], all: isAll = false, allowServerWide = false, signal } = options;
  const { migrationsDir } = await getWorkspace();
  const all = (await readMigrations(migrationsDir)) ?? [];
  const choice = chooseMigrations(all, { wanted, isAll, applied: await appliedIn(target) });
  const { chosen, because } = choice;
  const last = chosen.at(-1);
  if (last === undefined) return { ok: true, because, tested: [], replayed: 0, warnings: [], durationMs: 0 };
  const needed = all.slice(0, all.indexOf(last) + 1);
  try {
    if (!allowServerWide) {
      const steps = needed.flatMap((migration) => stepsOf(migration, chosen));
      const tests = chosen.flatMap(({ testPath }) => (testPath === null ? [] : [testSource(testPath)]));
      await refuseServerWide(target.settings, [...sourcesOf(steps), ...tests]);
    }
    const { tested, warnings } = await onScratch(target, { needed, choice, options });
    const replayed = needed.length - tested.length;
    return {
      ...{ ok: tested.every((one) => one.ok), because, tested, replayed, warnings },
      durationMs: Date.now() - startedAt,
    };
  } catch (error) {
    throw explained(error, 'All of it was tried on a scratch database; no other one was changed.', signal);
  }
}

function stepsOf(migration: Migration, chosen: readonly Migration[]) {
  const up = { migration, direction: 'up' as const };
  return chosen.includes(migration) ? [up, { migration, direction: 'down' as const }] : [up];
}

async function appliedIn({ exists, settings }: Target): Promise<ReadonlySet<string>> {
  if (!exists) return new Set();
  const history = await withConnection(settings, {}, readHistory);
  return new Set(history.applied.map(({ version }) => versionKey(version)));
}

interface Testing {
  readonly needed: readonly Migration[];
  readonly choice: ChosenMigrations;
  readonly options: TestSelection & OperationControls;
}

function onScratch(target: Target, testing: Testing): Promise<Pick<TestedMigrations, 'tested' | 'warnings'>> {
  const { onProgress, signal } = testing.options;
  const properties = (maintenance: Queryable) => {
    onProgress?.({ step: 'creating a scratch database' });
    return propertiesFor(maintenance, target.database);
  };
  return withTrialDatabase(target, { properties, signal }, async (trial) => {
    const tested = await trial.watched(() => testAll(target, trial.name, testing));
    return { tested, warnings: trial.warnings() };
  });
}

/** Of the database; where there is none yet, of what it would be made from. */
async function propertiesFor(maintenance: Queryable, database: string): Promise<DatabaseProperties> {
  const properties = await readDatabaseProperties(maintenance, database);
  if (properties !== null) return properties;
  const ofTemplate = await readDatabaseProperties(maintenance, 'template1');
  if (ofTemplate !== null) return { ...ofTemplate, settings: [] };
  throw new ManageDbError('DATABASE_MISSING', 'The server has no template1, from which databases are made.', {
    hint: 'Make it again, on the server: createdb --template template0 template1',
  });
}

async function testAll(
  { settings, serverMajor }: Target,
  database: string,
  { needed, choice, options }: Testing,
): Promise<readonly TestedMigration[]> {
  const { signal, onProgress, strict: isStrict = false } = options;
  const controls = { ...(signal && { signal }) };
  const schema = schemaReader(settings, { database, serverMajor: serverMajor ?? 0, signal });
  const work = { schema, trying: { settings, database, controls }, isStrict };
  const tested: TestedMigration[] = [];
  let isLost = false;
  let waiting: Migration[] = [];
  let state: Awaited<ReturnType<typeof schema.read>> | null = null;
  for (const [done, migration] of needed.entries()) {
    stopIfAborted(signal);
    const isChosen = choice.chosen.includes(migration);
    if (isLost) {
      if (isChosen) tested.push(untested(migration));
      continue;
    }
    if (!isChosen) {
      waiting.push(migration);
      state = null;
      continue;
    }
    onProgress?.({ step: `testing ${migration.version}_${migration.name}`, done, total: needed.length });
    const replayed = waiting.map((one) => ({ migration: one, direction: 'up' as const }));
    if (replayed.length > 0) await runSteps(settings, replayed, { database, ...controls });
    waiting = [];
    const outcome = await testOne(migration, state ?? (await schema.read()), work);
    tested.push(outcome.tested);
    state = outcome.now;
    isLost = outcome.now === null;
  }
  return tested;
}
