import { getWorkspace } from '../../../../config/workspace.js';
import { withConnection } from '../../../../services/with-connection.js';
import { messageOf } from '../../../errors.js';
import { type OperationControls, stopIfAborted } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import type { DecryptOptions } from '../../backup/encryption/keys.js';
import { explained } from '../../failure.js';
import { newBackupId } from '../../manifest/backup-id.js';
import type { MigrationStep } from '../runner.js';
import { schemaReader } from '../trial/schema-state.js';
import { refuseServerWide, sourcesOf, watchServer } from '../trial/server-wide.js';
import { checkedOrigin } from './choose-origin.js';
import { contentsReader } from './contents.js';
import { readLiveDatabase } from './live-database.js';
import { newDrift, readTriggerStates, type TriggerStates } from './new-drift.js';
import { observeStep } from './observe-step.js';
import type { RehearsalReport, RehearsedMigration } from './report.js';
import { saveRehearsal } from './report-files.js';
import { rehearseRollback, type Stage } from './rollback.js';
import { type ScratchCopy, withScratchCopy } from './scratch-copy.js';

export interface RehearseStepsOptions extends OperationControls {
  /** `template`, `backup` or `stream`; the best one that is possible by default. */
  readonly rehearseFrom?: string | undefined;
  /** What decrypts the backup; the settings of the environment by default. */
  readonly decrypt?: DecryptOptions | undefined;
  /** Lets migrations do to roles and the like what they do: that is done on the server, in earnest. */
  readonly allowServerWide?: boolean | undefined;
}

/** A report, and where it was written. */
export interface Rehearsal extends RehearsalReport {
  readonly path: string;
}

/**
 * Executes steps that go up on a scratch copy of the target's database, watches them, goes down and up again, and writes a
 * report. The database itself is only read. That a migration fails, or cannot be rolled back, is a result.
 *
 * @param steps in this order; nothing else is pending before them
 * @throws ManageDbError `SQL_FAILED` for what would reach beyond the database, `USAGE`, `PERMISSION_DENIED`, `INTERRUPTED`, and what
 *   copying and connecting throw
 * @example const { outcome, checksum } = await rehearseSteps(target, steps, { signal, onProgress });
 */
export async function rehearseSteps(
  target: Target,
  steps: readonly MigrationStep[],
  options: RehearseStepsOptions = {},
): Promise<Rehearsal> {
  const startedAt = new Date();
  const { signal, onProgress, decrypt = {}, allowServerWide = false } = options;
  const controls = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
  const wanted = checkedOrigin(options.rehearseFrom);
  const both = [...steps, ...steps.map(({ migration }) => ({ migration, direction: 'down' as const }))];
  try {
    if (!allowServerWide) await refuseServerWide(target.settings, sourcesOf(both));
    const live = await readLiveDatabase(target);
    const tried = await withScratchCopy({ target, live, wanted, decrypt, controls }, async (copy) => {
      const { maintenance, origin } = copy;
      const watched = await watchServer(maintenance, target.database, () => tryOut(copy, { target, steps, controls }));
      const warnings = [...copy.warnings, ...watched.result.warnings, ...watched.changes];
      return { origin, ...watched.result, warnings };
    });
    const { origin, migrations, newDrift: drift, warnings } = tried;
    return saveRehearsal(await getWorkspace(), {
      version: 1,
      id: newBackupId(startedAt, null),
      environment: target.environment,
      database: target.database,
      serverVersion: target.serverVersion,
      rehearsedAt: new Date().toISOString(),
      durationMs: Date.now() - startedAt.getTime(),
      fingerprint: live.fingerprint,
      origin,
      outcome: outcomeOf(migrations),
      migrations,
      newDrift: drift,
      warnings,
    });
  } catch (error) {
    throw explained(error, `${target.database} itself was not changed.`, signal);
  }
}

function outcomeOf(migrations: readonly RehearsedMigration[]): RehearsalReport['outcome'] {
  if (migrations.some(({ state }) => state !== 'applied')) return 'failed';
  const isClean = ({ rollback }: RehearsedMigration) => ['clean', 'irreversible', 'not_tried'].includes(rollback.state);
  return migrations.every(isClean) ? 'clean' : 'unclean';
}

interface Work {
  readonly target: Target;
  readonly steps: readonly MigrationStep[];
  readonly controls: OperationControls;
}

type Tried = Pick<RehearsalReport, 'migrations' | 'newDrift' | 'warnings'>;

/** All of them up, as in earnest; then down and up again. */
function tryOut({ database }: ScratchCopy, { target, steps, controls }: Work): Promise<Tried> {
  const { settings, environment, serverMajor } = target;
  const { signal, onProgress } = controls;
  const schema = schemaReader(settings, { database, serverMajor: serverMajor ?? 0, signal });
  const trying = { settings, database, controls };
  return withConnection(settings, { database, signal }, async (watcher) => {
    // a policy must not hide rows from being counted
    await watcher.query('set row_security = off');
    const warnings: string[] = [];
    const triggers = () => triggerStates(settings, { database, environment }, warnings);
    const before = await triggers();
    const stages: Stage[] = [];
    const contents = contentsReader(watcher);
    const lowest = steps.findLastIndex(({ migration }) => migration.down === null) + 1;
    let state = await schema.read();
    const migrations: RehearsedMigration[] = [];
    for (const [done, step] of steps.entries()) {
      stopIfAborted(signal);
      const { migration } = step;
      if (migrations.some(({ failure }) => failure !== null)) {
        migrations.push(notRun(step));
        continue;
      }
      onProgress?.({ step: `rehearsing ${migration.version}_${migration.name}`, done, total: steps.length });
      const found = done < lowest ? null : await contents.read();
      const { failure, durationMs, warnings: unseen, ...seen } = await observeStep(watcher, step, trying);
      warnings.push(...unseen);
      migrations.push({ ...notRun(step), ...seen, failure, durationMs, state: failure ? 'failed' : 'applied' });
      if (failure !== null) continue;
      const after = await schema.read();
      stages.push({ migration, before: state, after, contents: found });
      state = after;
    }
    const after = await triggers();
    const rollbacks = await rehearseRollback(stages, { schema, contents, trying });
    return {
      migrations: migrations.map((one, index) => ({ ...one, rollback: rollbacks[index] ?? one.rollback })),
      newDrift: before === null || after === null ? null : newDrift(before, after),
      warnings: [...new Set([...warnings, ...contents.warnings()])],
    };
  });
}

async function triggerStates(
  settings: Target['settings'],
  of: { readonly database: string; readonly environment: string },
  warnings: string[],
): Promise<TriggerStates | null> {
  try {
    return await readTriggerStates(settings, of);
  } catch (error) {
    warnings.push(`What becomes of triggers could not be looked at: ${messageOf(error)}`);
    return null;
  }
}

function notRun({ migration: { version, name, checksum, down } }: MigrationStep): RehearsedMigration {
  return {
    ...{ version, name, checksum, state: 'not_run', durationMs: null, failure: null },
    ...{ locks: [], areLocksSampled: false, rewritten: [], indexes: [], changedRows: null },
    rollback: {
      state: down === null ? 'irreversible' : 'not_tried',
      ...{ downMs: null, upAgainMs: null, afterDown: [], afterUpAgain: [], failure: null },
    },
  };
}
