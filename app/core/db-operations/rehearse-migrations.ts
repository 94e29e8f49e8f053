import { guarded, type OperationOptions } from '../safety/gate.js';
import { type Extent, stepsUp } from './migration/choose-steps.js';
import { readSituation } from './migration/plan.js';
import { type Rehearsal, type RehearseStepsOptions, rehearseSteps } from './migration/rehearse/rehearse-steps.js';

export type { Rehearsal } from './migration/rehearse/rehearse-steps.js';
export type {
  BuiltIndex,
  ChangedRows,
  CopyOrigin,
  NewDrift,
  RehearsalOrigin,
  RehearsalReport,
  RehearsedLock,
  RehearsedMigration,
  RehearsedRollback,
  RewrittenTable,
} from './migration/rehearse/report.js';
export type { SchemaDifference } from './migration/trial/schema-state.js';
export type { StepFailure } from './migration/trial/try-step.js';

export interface RehearseOptions
  extends OperationOptions,
    Extent,
    Pick<RehearseStepsOptions, 'rehearseFrom' | 'decrypt' | 'allowServerWide'> {}

/**
 * Executes the pending migrations on a scratch copy of the database, on its server, and says what they do: how long each takes,
 * which locks, what it writes anew, whether it can be rolled back without a trace, and what becomes of the triggers. The
 * report is kept in the workspace; see `requireRehearsal` of the configuration. The database itself is only read.
 *
 * @returns `null` where nothing is pending
 * @throws ManageDbError `SQL_FAILED` for statements that would reach beyond the database, `USAGE`, `NOT_FOUND`, `PERMISSION_DENIED` for
 *   a login without CREATEDB, `INTERRUPTED`, and what the gate, copying and connecting throw
 * @example
 * const rehearsal = await rehearseMigrations({ env: 'production', rehearseFrom: 'backup' });
 * if (rehearsal?.outcome !== 'clean') throw new Error('not today');
 */
export function rehearseMigrations(options: RehearseOptions = {}): Promise<Rehearsal | null> {
  const operation = options.allowServerWide ? 'rehearse-db-migration-server-wide' : 'rehearse-db-migration';
  return guarded(operation, options, async (target, { note }) => {
    const { statuses } = await readSituation(target, options.signal);
    const steps = stepsUp(statuses, options);
    if (steps.length === 0) return null;
    const rehearsal = await rehearseSteps(target, steps, options);
    const { id, outcome, checksum, origin } = rehearsal;
    note({
      rehearsal: id,
      outcome,
      checksum,
      from: origin.from,
      versions: steps.map(({ migration }) => migration.version),
    });
    return rehearsal;
  });
}
