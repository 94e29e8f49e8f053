import { ensureSchema } from '../../../database/schema/ensure-schema.js';
import { withConnection } from '../../../services/with-connection.js';
import { ManageDbError } from '../../errors.js';
import type { Permit, Target } from '../../safety/gate.js';
import type { OperationName } from '../../safety/operations.js';
import { stampIfNew } from '../../safety/write-stamp.js';
import { carryOut, outcome } from './carry-out.js';
import type { MigrationPlan, MigrationRun, MigrationRunOptions, PreparedRun, RunPolicy } from './migration-run.js';
import { essenceOf, prepareRun } from './prepare-run.js';

/**
 * One call of an operation that runs migrations: plans before anybody is asked, shows it, and does what was shown. Who is
 * asked for consent has seen the plan, and so has who gives it beforehand by the time something happens.
 */
export class PlannedRun {
  private target: Target | null = null;
  private shown: MigrationPlan | null = null;

  constructor(
    private readonly options: MigrationRunOptions,
    private readonly policy: RunPolicy,
  ) {}

  /** For the gate. */
  get gateOptions(): MigrationRunOptions {
    const { ask, onTarget } = this.options;
    const gate: MigrationRunOptions = {
      ...this.options,
      onTarget: (found) => {
        this.target = found;
        onTarget?.(found);
      },
    };
    if (ask === undefined) return gate;
    return {
      ...gate,
      ask: async (question, signal) => {
        if (this.target !== null) await this.prepare(this.target);
        return ask(question, signal);
      },
    };
  }

  /** Behind the gate. */
  async run(operation: OperationName, target: Target, { isAgreed }: Pick<Permit, 'isAgreed'>): Promise<MigrationRun> {
    const { options } = this;
    const prepared = await this.prepare(target);
    const isDryRun = options.dryRun === true;
    if (isDryRun || prepared.steps.length === 0) return outcome(prepared, { isDryRun });
    if (!isAgreed) await agreeToLosses(operation, options, prepared.plan);
    await stamp(target, options);
    return carryOut(target, options, this.policy, prepared);
  }

  private async prepare(target: Target): Promise<PreparedRun> {
    const prepared = await prepareRun(target, this.options, { policy: this.policy, shown: this.shown });
    if (this.shown === null) this.options.onPlan?.(prepared.plan);
    else refuseOther(this.shown, prepared.plan);
    this.shown = prepared.plan;
    return prepared;
  }
}

/** An empty database that is given its tables is known from then on, as by initialize-db. */
async function stamp(target: Target, { signal }: MigrationRunOptions): Promise<void> {
  if (target.stamp?.wasEmpty !== true) return;
  await withConnection(target.settings, { signal }, async (db) => {
    await ensureSchema(db);
    await stampIfNew(db, target);
  });
}

/** What somebody has agreed to must be what is done. */
function refuseOther(shown: MigrationPlan, now: MigrationPlan): void {
  if (essenceOf(shown.migrations) === essenceOf(now.migrations)) return;
  throw new ManageDbError(
    'DATABASE_IN_USE',
    'Another runner has been here since the plan was shown. Nothing was changed.',
    {
      hint: 'Look at the new plan, and run it again.',
    },
  );
}

/** Going down, what is lost is agreed to, also where nothing else is asked. */
async function agreeToLosses(
  operation: OperationName,
  options: MigrationRunOptions,
  plan: MigrationPlan,
): Promise<void> {
  const { ask, signal } = options;
  const goesDown = plan.migrations.some(({ direction }) => direction === 'down');
  const lost = plan.losses.filter(({ kind, rows }) => kind === 'unforeseen' || rows === null || rows > 0);
  if (!goesDown || lost.length === 0 || plan.needsBackup) return;
  const summary = `${operation} ${lost.map(({ sentence }) => sentence).join('; ')}.`;
  const answer = await ask?.({ operation, kind: 'yes', text: '', summary, asksReason: false }, signal);
  if (answer?.yes === true) return;
  throw new ManageDbError('CONFIRMATION_REQUIRED', `${summary} Nothing was changed.`, {
    hint: 'Add --yes to agree to that, or look first: --dry-run',
    details: { losses: lost },
  });
}
