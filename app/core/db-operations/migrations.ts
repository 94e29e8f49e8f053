import { guarded } from '../safety/gate.js';
import { type ApplyChoice, applyPolicy } from './migration/apply-policy.js';
import { stepsDown } from './migration/choose-steps.js';
import type { MigrationRun, MigrationRunOptions } from './migration/migration-run.js';
import { PlannedRun } from './migration/run-planned.js';

export type { MigrationPlan, MigrationRun, MigrationRunOptions } from './migration/migration-run.js';
export type { PlannedMigration } from './migration/plan.js';
export type { RanMigration } from './migration/runner.js';

export interface ApplyMigrationOptions extends MigrationRunOptions, ApplyChoice {}

/**
 * Applies pending migrations, all of them or as far as `to` or `steps` say. Any number of runners may be at it; each
 * migration is applied once, and is either applied and recorded or neither.
 *
 * @throws ManageDbError `MIGRATION_EDITED`, `MIGRATION_MISSING`, `MIGRATION_OUT_OF_ORDER`, `MIGRATION_UNFINISHED`,
 *   `SQL_FAILED` with file, line and column, `LOCK_TIMEOUT` naming who is in the way, `NOT_FOUND`, `INVALID_CONFIGURATION`,
 *   `UNSAFE_MIGRATION`, `REHEARSAL_REQUIRED`, `INTERRUPTED`, and what the gate throws
 * @example const { ran } = await applyMigration({ env: 'testing' });
 */
export function applyMigration(options: ApplyMigrationOptions = {}): Promise<MigrationRun> {
  // a dry run is what one looks at before rehearsing
  const run = new PlannedRun(options, applyPolicy(options, options.dryRun !== true));
  return guarded('apply-db-migration', run.gateOptions, (target, permit) =>
    run.run('apply-db-migration', target, permit),
  );
}

/**
 * Rolls back the last migration, or as many as `steps` or `to` say, after it was said what will be lost. A safety backup
 * is made first where the database is protected.
 *
 * @throws ManageDbError `MIGRATION_IRREVERSIBLE`, `MIGRATION_EDITED`, `MIGRATION_MISSING`, `CONFIRMATION_REQUIRED` when
 *   something is lost and nobody has agreed, and as {@link applyMigration}
 * @example const { plan } = await rollbackMigration({ env: 'testing', steps: 1, dryRun: true });
 */
export function rollbackMigration(options: MigrationRunOptions = {}): Promise<MigrationRun> {
  const run = new PlannedRun(options, { choose: ({ statuses }) => stepsDown(statuses, options) });
  return guarded('rollback-db-migration', run.gateOptions, (target, permit) =>
    run.run('rollback-db-migration', target, permit),
  );
}

/**
 * Rolls back the last migration, or as many as `steps` or `to` say, and applies the same again: for a migration that is
 * being written.
 *
 * @throws ManageDbError as {@link rollbackMigration}
 * @example await redoMigration({ env: 'development' });
 */
export function redoMigration(options: MigrationRunOptions = {}): Promise<MigrationRun> {
  const run = new PlannedRun(options, {
    choose: ({ statuses }) => {
      const downs = stepsDown(statuses, options);
      return [...downs, ...[...downs].reverse().map(({ migration }) => ({ migration, direction: 'up' as const }))];
    },
  });
  return guarded('redo-db-migration', run.gateOptions, (target, permit) =>
    run.run('redo-db-migration', target, permit),
  );
}
