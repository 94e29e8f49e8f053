import { withConnection } from '../../../../services/with-connection.js';
import { stopIfAborted } from '../../../progress.js';
import type { Migration } from '../migration-files.js';
import type { SchemaDifference, SchemaReader, SchemaState } from '../trial/schema-state.js';
import { type StepFailure, type StepTrial, type Trying, tryStep } from '../trial/try-step.js';
import { runTestFile, type TestFileResult } from './run-test-file.js';

export interface TestedStep {
  /** `not_run`: what comes before it failed; `none`: the file has no way down. */
  readonly state: 'ok' | 'failed' | 'not_run' | 'none';
  /** Milliseconds. */
  readonly durationMs: number | null;
  readonly failure: StepFailure | null;
}

export interface FoundDifference extends SchemaDifference {
  /** `down`: compared with what was before the migration; `up_again`: with what it made the first time. */
  readonly after: 'down' | 'up_again';
}

export interface TestedMigration {
  readonly version: string;
  readonly name: string;
  /** Nothing failed; a way down that is missing counts only where the test is strict. */
  readonly ok: boolean;
  readonly up: TestedStep;
  readonly down: TestedStep;
  readonly upAgain: TestedStep;
  readonly differences: readonly FoundDifference[];
  readonly tests: readonly TestFileResult[];
}

export interface TestWork {
  readonly schema: SchemaReader;
  readonly trying: Trying;
  readonly isStrict: boolean;
}

export interface TestedState {
  readonly tested: TestedMigration;
  /** What is defined now; `null`: the migration is not applied, and what follows cannot be. */
  readonly now: SchemaState | null;
}

const NOT_RUN: TestedStep = { state: 'not_run', durationMs: null, failure: null };

/**
 * Applies a migration, rolls it back, applies it again, compares what is defined each time, and runs its test file.
 *
 * @throws ManageDbError as {@link tryStep}
 */
export async function testOne(migration: Migration, before: SchemaState, work: TestWork): Promise<TestedState> {
  const { schema, trying, isStrict } = work;
  const differences: FoundDifference[] = [];
  const up = await stepOf(migration, 'up', trying);
  if (up.state === 'failed') return { tested: untested(migration, up), now: null };
  const first = await schema.read();
  let now: SchemaState | null = first;
  const down =
    migration.down === null ? ({ ...NOT_RUN, state: 'none' } as const) : await stepOf(migration, 'down', trying);
  let upAgain = NOT_RUN;
  if (down.state === 'ok') {
    differences.push(...(await found('down', schema, before, await schema.read())));
    upAgain = await stepOf(migration, 'up', trying);
    now = upAgain.state === 'ok' ? await schema.read() : null;
    if (now !== null) differences.push(...(await found('up_again', schema, first, now)));
  }
  // what a way down leaves half done, nobody knows
  if (down.state === 'failed' && migration.down?.isTransactional === false) now = null;
  const tests = now === null ? [] : await testFiles(migration, trying);
  const isDownFine = down.state === 'ok' || (down.state === 'none' && !isStrict);
  const ok = isDownFine && upAgain.state !== 'failed' && differences.length === 0 && tests.every((result) => result.ok);
  const { version, name } = migration;
  return { tested: { version, name, ok, up, down, upAgain, differences, tests }, now };
}

/** What is not tested, as the one before it failed. */
export function untested({ version, name }: Migration, up: TestedStep = NOT_RUN): TestedMigration {
  return { version, name, ok: false, up, down: NOT_RUN, upAgain: NOT_RUN, differences: [], tests: [] };
}

async function stepOf(migration: Migration, direction: 'up' | 'down', trying: Trying): Promise<TestedStep> {
  stopIfAborted(trying.controls.signal);
  const { durationMs, failure }: StepTrial = await tryStep({ migration, direction }, trying);
  return { state: failure === null ? 'ok' : 'failed', durationMs, failure };
}

async function found(
  after: FoundDifference['after'],
  schema: SchemaReader,
  before: SchemaState,
  now: SchemaState,
): Promise<FoundDifference[]> {
  return (await schema.compare(before, now)).map((difference) => ({ ...difference, after }));
}

async function testFiles({ testPath }: Migration, { settings, database, controls }: Trying): Promise<TestFileResult[]> {
  if (testPath === null) return [];
  const on = { database, signal: controls.signal, searchPath: 'application' } as const;
  return [await withConnection(settings, on, (client) => runTestFile(client, testPath))];
}
