import { tmpdir } from 'node:os';
import { type EnvironmentConfig, getConfig } from '../../config/db-config.js';
import { asManageDbError } from '../../services/database-errors.js';
import { sweepWorkFolders } from '../../services/work-folder.js';
import { currentEnv, withEnvironment } from '../environment.js';
import { errorWith, ManageDbError } from '../errors.js';
import type { OperationControls } from '../progress.js';
import type { AskConsent, Consent } from './consent.js';
import { type Decision, decide, type GateFacts, type GateRequest, isBehindKillSwitch, isProtected } from './decide.js';
import { factsOfSettings, gatherFacts, type Situation } from './facts.js';
import { type About, Journal } from './journal.js';
import { reportKillSwitch } from './kill-switch-report.js';
import { loggableText } from './operation-log/entry.js';
import { OPERATIONS, type OperationDefinition, type OperationName } from './operations.js';
import { currentOverride } from './override.js';
import { type Located, locate, type Target, targetOf } from './target.js';

export type { Target } from './target.js';

/** What every operation accepts. */
export interface OperationOptions extends OperationControls {
  /** The environment, named for this call; the active one where absent. */
  readonly env?: string;
  /** What names it on a command line, for the hints of a refusal; `--env` by default. */
  readonly environmentFlag?: string;
  readonly consent?: Consent;
  /** Says what would be done, and does nothing: nobody has to agree to that. Refused where there is no dry run. */
  readonly dryRun?: boolean | undefined;
  /** Asks a person at a terminal for the consent that is missing. Without it the operation is refused. */
  readonly ask?: AskConsent;
  /** Told which database it will be, before anything happens to it. */
  readonly onTarget?: (target: Target) => void;
}

/** What the gate has found out and agreed with the caller, for the work behind it. */
export interface Permit {
  /** The attempt's name in the operation log. */
  readonly attempt: string;
  readonly reason: string | null;
  readonly isKillSwitchOverridden: boolean;
  /** Whether somebody has agreed that data is lost: by `--yes`, the right typed text or when asked. */
  readonly isAgreed: boolean;
  /** What the operation log says of its success, beside the options of the call. */
  readonly note: (details: Readonly<Record<string, unknown>>) => void;
}

/**
 * The gate: finds out which database is meant and what it is, says so, decides, writes the attempt down, and only then
 * runs `fn`, with the environment pinned for everything in it; then writes down what came of it. Every exported operation
 * passes here.
 *
 * @throws ManageDbError when refused: `CONFIRMATION_REQUIRED`, `CONFIRMATION_MISMATCH`, `PROTECTED_ENVIRONMENT`,
 *   `PERMISSION_DENIED`, `STAMP_REQUIRED`, `STAMP_MISMATCH`, `KILL_SWITCH`, `USAGE`; the configuration's and the connection's codes
 * @example
 * export function dropAllTables(options: OperationOptions) {
 *   return guarded('drop-all-tables', options, (target) => dropEverything(target, options));
 * }
 */
export async function guarded<T>(
  operation: OperationName,
  options: OperationOptions,
  fn: (target: Target, permit: Permit) => Promise<T>,
): Promise<T> {
  const environment = options.env ?? currentEnv();
  // whatever is done next: a killed operation may have left a password
  await sweepWorkFolders(tmpdir());
  return withEnvironment(
    environment,
    async () => {
      const config = await getConfig();
      const passage = new Passage(operation, options, config);
      return OPERATIONS[operation].isLogged ? passage.change(fn) : passage.look(fn);
    },
    options.env === undefined ? 'the active environment' : '--env',
  );
}

/** One call of an operation on its way through the gate. */
class Passage {
  private readonly request: GateRequest;
  private readonly journal: Journal;

  constructor(
    private readonly operation: OperationName,
    private readonly options: OperationOptions,
    private readonly config: EnvironmentConfig,
  ) {
    const override = currentOverride();
    const { confirmation: confirm, reason } = override ?? {};
    this.request = {
      operation,
      consent: { ...understood({ confirm, reason }), ...understood(options.consent) },
      isDryRun: options.dryRun === true,
      isEnvironmentExplicit: options.env !== undefined,
      ...(options.environmentFlag === undefined ? {} : { environmentFlag: options.environmentFlag }),
      isKillSwitchOverridden: override !== null,
    };
    this.journal = new Journal(operation, config, options);
  }

  /** What only looks is decided by the settings alone, and leaves no trace. */
  async look<T>(fn: (target: Target, permit: Permit) => Promise<T>): Promise<T> {
    const decision = decide(this.request, factsOfSettings(this.operation, this.config, new Date()));
    if (decision.kind !== 'allow') throw this.refusal(decision);
    const target = targetOf(this.config, await locate(this.operation, this.config));
    this.options.onTarget?.(target);
    this.refuseInterrupted();
    return fn(target, this.permit(this.request.consent, null));
  }

  async change<T>(fn: (target: Target, permit: Permit) => Promise<T>): Promise<T> {
    const located = await this.locateOrRefuse();
    const situation = await gatherFacts(this.operation, this.config, located);
    const { facts, stamp } = situation;
    const target = targetOf(this.config, located, {
      isProtected: isProtected(facts),
      stamp: { state: facts.stamp.state, because: facts.stamp.because, says: stamp, wasEmpty: facts.isEmpty },
      level: facts.access.level,
    });
    this.options.onTarget?.(target);
    const { decision, consent } = await this.settle(situation, target);
    reportKillSwitch(this.config, decision, { request: this.request, facts, consent });
    const about = this.about(situation, target, consent);
    if (decision.kind !== 'allow') {
      await this.journal.denied(about, decision);
      throw this.refusal(decision);
    }
    this.refuseInterrupted();
    if (this.request.isDryRun) return fn(target, this.permit(consent, facts.confirmationText));
    return this.journal.around(about, () => fn(target, this.permit(consent, facts.confirmationText)));
  }

  /** A database that cannot be reached is no reason to say less about a call that is refused anyway. */
  private async locateOrRefuse(): Promise<Located> {
    try {
      return await locate(this.operation, this.config);
    } catch (error) {
      const facts = factsOfSettings(this.operation, this.config, new Date());
      const decision = decide(this.request, facts);
      if (decision.kind === 'allow') throw error;
      const { consent } = this.request;
      await this.journal.denied({ target: null, consent, level: null, isKillSwitchOverridden: false }, decision);
      throw this.refusal(decision);
    }
  }

  /** Decides; asks a person where one is there and may still agree. */
  private async settle(
    situation: Situation,
    target: Target,
  ): Promise<{ readonly decision: Decision; readonly consent: Consent }> {
    const { facts } = situation;
    const { consent } = this.request;
    const decision = decide(this.request, facts);
    if (decision.kind !== 'confirm' || this.options.ask === undefined) return { decision, consent };
    const { how: kind, text, asksReason } = decision;
    const question = { operation: this.operation, kind, text, asksReason, summary: summaryOf(this.operation, facts) };
    const answer = await this.options.ask(question, this.options.signal).catch(async (error: unknown) => {
      const { code, message: reason, hint } = asManageDbError(error);
      await this.journal.denied(this.about(situation, target, consent), {
        kind: 'deny',
        code,
        reason,
        hint: hint ?? '',
      });
      throw error;
    });
    if (answer === null) {
      return { decision: { ...decision, reason: `${this.operation} was declined; nothing was changed.` }, consent };
    }
    // a person takes their time: somebody may have engaged the kill switch meanwhile
    const latest = await gatherFacts(this.operation, await getConfig(), await locate(this.operation, this.config));
    const agreed = { ...consent, ...understood(answer) };
    const request = { ...this.request, consent: agreed, isKillSwitchOverridden: currentOverride() !== null };
    return { decision: decide(request, latest.facts), consent: agreed };
  }

  private about({ facts }: Situation, target: Target, consent: Consent): About {
    const isBehind = isBehindKillSwitch(OPERATIONS[this.operation], facts);
    const isKillSwitchOverridden = isBehind && this.request.isKillSwitchOverridden;
    return { target, consent, level: facts.access.level, isKillSwitchOverridden };
  }

  private permit(consent: Consent, text: string | null): Permit {
    return {
      attempt: this.journal.attempt,
      // it is written into tables that others may read
      reason: loggableText(consent.reason?.trim() ?? '') || null,
      isKillSwitchOverridden: currentOverride() !== null,
      isAgreed: consent.yes === true || (text !== null && consent.confirm === text),
      note: (details) => this.journal.note(details),
    };
  }

  private refuseInterrupted(): void {
    if (this.options.signal?.aborted) throw new ManageDbError('INTERRUPTED', 'Interrupted; nothing was begun.');
  }

  private refusal({ code, reason, hint }: Exclude<Decision, { kind: 'allow' }>): ManageDbError {
    const { environment, connection } = this.config;
    return errorWith(code, reason, {
      hint,
      details: { operation: this.operation, environment, database: connection.database },
    });
  }
}

/** Consent is exactly what its type says, also from JavaScript: what is no text, or not `true`, was not said. */
function understood({ yes, confirm, reason }: { readonly [Name in keyof Consent]?: unknown } = {}): Consent {
  return {
    ...(yes === true ? { yes } : {}),
    ...(typeof confirm === 'string' ? { confirm } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
  };
}

function summaryOf(operation: OperationName, { environment, database, stamp }: GateFacts): string {
  const { effect }: OperationDefinition = OPERATIONS[operation];
  const what = effect === 'destroy' ? 'can destroy what is in' : 'changes';
  const known = stamp.state === 'trusted' || stamp.state === 'missing' ? '' : ` ${stamp.because}`;
  return `${operation} ${what} ${database} of ${environment}.${known}`;
}
