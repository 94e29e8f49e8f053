import { stopIfAborted } from '../../../progress.js';
import type { Migration } from '../migration-files.js';
import type { SchemaDifference, SchemaReader, SchemaState } from '../trial/schema-state.js';
import { type Trying, tryStep } from '../trial/try-step.js';
import type { Contents, ContentsReader } from './contents.js';
import type { RehearsedRollback } from './report.js';

/** A migration that was applied, with what was defined before it and after it. */
export interface Stage {
  readonly migration: Migration;
  readonly before: SchemaState;
  /** What was in the tables before it; `null`: nobody goes that far down. */
  readonly contents: Contents | null;
  readonly after: SchemaState;
}

export interface RollingBack {
  readonly schema: SchemaReader;
  readonly contents: ContentsReader;
  readonly trying: Trying;
}

const NOT_TRIED: RehearsedRollback = {
  ...{ state: 'not_tried', downMs: null, upAgainMs: null },
  ...{ afterDown: [], afterUpAgain: [], failure: null },
};

/**
 * Goes down through the stages as far as there is a way, the last one first, and up again. What one leaves behind is not told again
 * of those before it.
 *
 * @returns one a stage, in their order
 * @throws ManageDbError as {@link tryStep}
 */
export async function rehearseRollback(
  stages: readonly Stage[],
  work: RollingBack,
): Promise<readonly RehearsedRollback[]> {
  const results: RehearsedRollback[] = stages.map(({ migration }) =>
    migration.down === null ? { ...NOT_TRIED, state: 'irreversible' } : NOT_TRIED,
  );
  const lowest = await goDown(stages, results, work);
  await goUp(stages, results, { ...work, from: lowest });
  return results;
}

/** Gives the index of the last stage that was left. */
async function goDown(
  stages: readonly Stage[],
  results: RehearsedRollback[],
  { schema, contents, trying }: RollingBack,
): Promise<number> {
  const told: SchemaDifference[] = [];
  for (let index = stages.length - 1; index >= 0; index -= 1) {
    const stage = stages[index];
    if (stage === undefined || stage.migration.down === null) return index + 1;
    stopIfAborted(trying.controls.signal);
    announce(stage, 'down', trying);
    const { durationMs, failure } = await tryStep({ migration: stage.migration, direction: 'down' }, trying);
    if (failure !== null) {
      results[index] = { ...NOT_TRIED, state: 'failed', failure };
      return index + 1;
    }
    const lost = stage.contents === null ? [] : contents.compare(stage.contents, await contents.read());
    const afterDown = untold([...(await schema.compare(stage.before, await schema.read())), ...lost], told);
    told.push(...afterDown);
    results[index] = {
      ...NOT_TRIED,
      state: afterDown.length === 0 ? 'clean' : 'unclean',
      downMs: durationMs,
      afterDown,
    };
  }
  return 0;
}

async function goUp(
  stages: readonly Stage[],
  results: RehearsedRollback[],
  { schema, trying, from }: RollingBack & { readonly from: number },
): Promise<void> {
  const told: SchemaDifference[] = [];
  for (const [index, stage] of stages.entries()) {
    const result = results[index];
    if (index < from || result === undefined) continue;
    stopIfAborted(trying.controls.signal);
    announce(stage, 'up again', trying);
    const { durationMs, failure } = await tryStep({ migration: stage.migration, direction: 'up' }, trying);
    if (failure !== null) {
      results[index] = { ...result, state: 'failed', failure };
      return;
    }
    const afterUpAgain = untold(await schema.compare(stage.after, await schema.read()), told);
    told.push(...afterUpAgain);
    const state = afterUpAgain.length === 0 ? result.state : 'unclean';
    results[index] = { ...result, state, upAgainMs: durationMs, afterUpAgain };
  }
}

function announce({ migration }: Stage, where: string, { controls }: Trying): void {
  controls.onProgress?.({ step: `rehearsing ${migration.version}_${migration.name}: ${where}` });
}

function untold(found: readonly SchemaDifference[], told: readonly SchemaDifference[]): SchemaDifference[] {
  const keyOf = ({ kind, name, state }: SchemaDifference) => JSON.stringify([kind, name, state]);
  const known = new Set(told.map(keyOf));
  return found.filter((one) => !known.has(keyOf(one)));
}
