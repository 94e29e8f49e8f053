import type { SecuritySettings } from '../../config/settings.js';
import type { Stamp } from '../../database/records/identity.js';
import type { ErrorCode } from '../errors.js';
import { type Level, reaches } from '../levels.js';
import { shellQuote } from '../shell-quote.js';
import type { Consent } from './consent.js';
import { commandOf, OPERATIONS, type OperationDefinition, type OperationName } from './operations.js';
import type { StampState } from './stamp.js';

/** What is asked for. */
export interface GateRequest {
  readonly operation: OperationName;
  readonly consent: Consent;
  readonly isDryRun: boolean;
  /** Whether the environment was named for this very call (`--env`), not merely active. */
  readonly isEnvironmentExplicit: boolean;
  /** The flag that names it; `--env` by default. */
  readonly environmentFlag?: string;
  /** Whether somebody has overridden the kill switch, for this call. */
  readonly isKillSwitchOverridden: boolean;
}

/** What is known about the database when the decision is made. */
export interface GateFacts {
  readonly environment: string;
  readonly database: string;
  readonly security: SecuritySettings;
  readonly stamp: {
    readonly state: StampState;
    /** Why, in a sentence. */
    readonly because: string;
    /** What the stamp says, whoever wrote it; `null` where there is none. */
    readonly says: Pick<Stamp, 'environment' | 'protected' | 'killSwitch'> | null;
  };
  /** What is in it comes into every database that is created on the server. */
  readonly isTemplate: boolean;
  /** There is nothing in it that could be lost. */
  readonly isEmpty: boolean;
  /** It belongs to a cluster that manage_db made for this workspace. */
  readonly isOwnServer: boolean;
  /** The protected environment that has this very database in its settings, where that is not the selected one. */
  readonly endpointOf: string | null;
  readonly access: { readonly login: string; readonly level: Level; readonly why: string };
  readonly killSwitch: {
    /** By the settings of the environment. */
    readonly isOn: boolean;
    readonly isConfirmationRequired: boolean;
    /** Why nothing may be changed now, whatever is overridden: engaged by a person, or the time of the week. */
    readonly lock: string | null;
  };
  /** The text to type for this operation on this database. */
  readonly confirmationText: string;
}

interface Refusal {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly hint: string;
}

export type Decision =
  | { readonly kind: 'allow' }
  /** A person may still agree: with an answer, or by typing `text`. Where there is none, it is a refusal. */
  | (Refusal & {
      readonly kind: 'confirm';
      readonly how: 'yes' | 'typed';
      readonly text: string;
      readonly asksReason: boolean;
    })
  | (Refusal & { readonly kind: 'deny' });

/** The decisions that end the questions; `null` leaves it to the next one. */
type Verdict = Decision | null;

const ALLOW: Decision = { kind: 'allow' };

/**
 * Decides whether an operation may happen. Pure: the same request and facts always give the same decision. The table of
 * all decisions stands in docs/safety.md, made by this function.
 *
 * @example decide({ operation: 'reset-database', consent: {}, … }, facts).kind // 'deny'
 */
export function decide(request: GateRequest, facts: GateFacts): Decision {
  const definition: OperationDefinition = OPERATIONS[request.operation];
  if (request.isDryRun && !definition.canDryRun) {
    return deny(
      'USAGE',
      `${request.operation} has no dry run; nothing was changed.`,
      `See: manage_db ${commandOf(request.operation)} --help`,
    );
  }
  const verdict = judgeLevel(definition, request, facts);
  if (verdict !== null) return verdict;
  if (definition.effect === 'read' || request.isDryRun) return ALLOW;
  return (
    judgeEndpoint(request, facts) ??
    judgeStampOf(definition, request, facts) ??
    judgeProtection(definition, request, facts) ??
    judgeKillSwitch(definition, request, facts) ??
    judgeConsent(definition, request, facts)
  );
}

/** What decides about the protection of a database. */
export type Protection = Pick<GateFacts, 'security' | 'endpointOf' | 'isEmpty' | 'isOwnServer'> & {
  readonly stamp: Pick<GateFacts['stamp'], 'state' | 'says'>;
};

/**
 * Whether a database is protected: the most that its environment, its stamp, its place and its history say. One that
 * nobody has stamped and that is not empty counts as protected, wherever it is: a loopback address may be a tunnel.
 */
export function isProtected({ security, stamp, endpointOf, isEmpty, isOwnServer }: Protection): boolean {
  const isUnknown = stamp.state === 'unstamped' && !isEmpty && !isOwnServer;
  return security.protected || stamp.says?.protected === true || endpointOf !== null || isUnknown;
}

function judgeLevel({ level }: OperationDefinition, { operation, isDryRun }: GateRequest, facts: GateFacts): Verdict {
  const { access, environment, database } = facts;
  const required: Level = isDryRun && level === 'admin' ? 'operator' : level;
  if (reaches(access.level, required)) return null;
  return deny(
    'PERMISSION_DENIED',
    `${operation} needs the level ${required}, and ${access.login} is ${access.level} of ${database} (${access.why}); nothing was changed.`,
    facts.stamp.state === 'missing'
      ? 'Use a login that may create databases.'
      : `An admin can grant it: manage_db grant-db-role ${required} ${shellQuote(access.login)} --env ${environment}`,
  );
}

function judgeEndpoint({ operation }: GateRequest, { endpointOf, environment, database }: GateFacts): Verdict {
  if (endpointOf === null) return null;
  return deny(
    'PROTECTED_ENVIRONMENT',
    `${operation} was asked for on ${environment}, but its database (${database}) is the one of ${endpointOf}, which is protected; nothing was changed.`,
    `Correct the settings of ${environment} (manage_db show-config --env ${environment}), or mean it: --env ${endpointOf}`,
  );
}

/** Only reading is possible while it is unclear which database this is, and nobody has said so. */
function judgeStampOf(
  { needsStamp, effect }: OperationDefinition,
  { operation }: GateRequest,
  facts: GateFacts,
): Verdict {
  const { stamp, environment, database } = facts;
  if (!needsStamp) return null;
  const stampCommand = `manage_db stamp-database --env ${environment}`;
  const refuse = (code: ErrorCode, why: string, hint: string): Decision =>
    deny(code, `${operation} on ${environment} (${database}) is refused: ${why} Nothing was changed.`, hint);
  switch (stamp.state) {
    case 'trusted':
    case 'missing':
      return null;
    case 'unstamped':
      if (facts.isTemplate) {
        return refuse(
          'STAMP_REQUIRED',
          'it is a template, and every new database would begin as a copy of it.',
          `Choose another database (manage_db show-config --env ${environment}), or mean it: ${stampCommand}`,
        );
      }
      if (facts.isEmpty || facts.isOwnServer) return null;
      return refuse(
        'STAMP_REQUIRED',
        'it is not empty, and nobody has said yet what it is.',
        `Look at it (manage_db inspect-db --env ${environment}), then say so: ${stampCommand}`,
      );
    case 'mismatch':
      return refuse(
        'STAMP_MISMATCH',
        stamp.because,
        `Choose --env ${stamp.says?.environment ?? '…'}, or correct the settings: manage_db show-config --env ${environment}`,
      );
    default:
      if (effect !== 'destroy' && !isProtected(facts)) return null;
      return refuse('STAMP_REQUIRED', stamp.because, `If it is ${environment} from now on, say so: ${stampCommand}`);
  }
}

function judgeProtection(
  { isForOpenOnly }: OperationDefinition,
  { operation }: GateRequest,
  facts: GateFacts,
): Verdict {
  if (!isForOpenOnly || !isProtected(facts)) return null;
  const { environment, database } = facts;
  return deny(
    'PROTECTED_ENVIRONMENT',
    `${operation} works on the real tables, and ${environment} (${database}) is protected; nothing was changed.`,
    `Run it where nothing is at stake and the same triggers are installed: manage_db ${commandOf(operation)} --env testing`,
  );
}

function judgeKillSwitch(definition: OperationDefinition, request: GateRequest, facts: GateFacts): Verdict {
  if (!definition.isKillSwitched) return null;
  const { operation } = request;
  const { environment, database, killSwitch } = facts;
  if (killSwitch.lock !== null) {
    return deny(
      'KILL_SWITCH',
      `${operation} on ${environment} (${database}) is blocked: ${killSwitch.lock}. No override passes; nothing was changed.`,
      `See: manage_db kill-switch status --env ${environment}`,
    );
  }
  if (!isBehindKillSwitch(definition, facts) || request.isKillSwitchOverridden) return null;
  return deny(
    'KILL_SWITCH',
    `${operation} on ${environment} (${database}) is behind the kill switch; nothing was changed.`,
    `If that is meant, the same again with ${whatItTakes(definition, request, facts)}`,
  );
}

/** Saying for the first time what a database is changes nothing that the switch protects. */
export function isBehindKillSwitch({ needsStamp, isKillSwitched }: OperationDefinition, facts: GateFacts): boolean {
  const { killSwitch, stamp } = facts;
  return isKillSwitched && ((needsStamp && killSwitch.isOn) || stamp.says?.killSwitch === true);
}

function judgeConsent(definition: OperationDefinition, request: GateRequest, facts: GateFacts): Decision {
  if (definition.consent === 'reason') return judgeReason(request, facts);
  if (needsCeremony(definition, facts)) return judgeCeremony(definition, request, facts);
  const { operation, consent } = request;
  const { environment, database, isOwnServer, security, confirmationText: text } = facts;
  const isHarmless = definition.effect === 'write' || (isOwnServer && security.confirmation === 'none');
  if (isHarmless || consent.yes === true || consent.confirm === text) {
    return security.reasonRequired ? judgeReason(request, facts) : ALLOW;
  }
  const asksReason = security.reasonRequired && !consent.reason?.trim();
  return {
    kind: 'confirm',
    how: 'yes',
    text,
    asksReason,
    code: 'CONFIRMATION_REQUIRED',
    reason: `${operation} destroys data on ${environment} (${database}); nothing was changed.`,
    hint: `If that is meant, the same again with ${flagOf(request)} ${environment} --yes${asksReason ? ' --reason "…"' : ''}`,
  };
}

function judgeReason({ operation, consent }: GateRequest, { environment, confirmationText }: GateFacts): Decision {
  if (consent.reason?.trim()) return ALLOW;
  return {
    kind: 'confirm',
    how: 'yes',
    text: confirmationText,
    asksReason: true,
    code: 'CONFIRMATION_REQUIRED',
    reason: `${operation} on ${environment} needs a reason; nothing was changed.`,
    hint: 'The same again with --reason "…"',
  };
}

function needsCeremony(definition: OperationDefinition, facts: GateFacts): boolean {
  if (definition.consent === 'full') return true;
  const { security, killSwitch } = facts;
  const isSwitched = isBehindKillSwitch(definition, facts) && killSwitch.isConfirmationRequired;
  return isProtected(facts) || security.confirmation === 'typed' || isSwitched;
}

function judgeCeremony(definition: OperationDefinition, request: GateRequest, facts: GateFacts): Decision {
  const { operation, consent } = request;
  const { environment, database, confirmationText: text } = facts;
  const protection = isProtected(facts) ? ', which is protected,' : '';
  const refusal = (code: ErrorCode, missing: string): Refusal => ({
    code,
    reason: `${operation} on ${environment} (${database})${protection} needs ${missing}; nothing was changed.`,
    hint: `If that is meant, the same again with ${whatItTakes(definition, request, facts)}`,
  });
  if (!request.isEnvironmentExplicit) {
    return { kind: 'deny', ...refusal('PROTECTED_ENVIRONMENT', `its environment named by ${flagOf(request)}`) };
  }
  const lacksReason = wantsReason(definition, facts) && !consent.reason?.trim();
  const ask = (how: 'yes' | 'typed', missing: string): Decision => ({
    kind: 'confirm',
    how,
    text,
    asksReason: lacksReason,
    ...refusal('CONFIRMATION_REQUIRED', missing),
  });
  if (consent.confirm === undefined) return ask('typed', 'a typed confirmation; --yes is not enough');
  if (consent.confirm !== text) {
    return { kind: 'deny', ...refusal('CONFIRMATION_MISMATCH', 'another confirmation than the one that was typed') };
  }
  // the text was right: only the reason is asked for
  return lacksReason ? ask('yes', 'a --reason') : ALLOW;
}

/** Where only the database itself says that it is protected, the environment's settings are too mild for it. */
function wantsReason({ consent }: OperationDefinition, facts: GateFacts): boolean {
  return consent === 'full' || facts.security.reasonRequired || (isProtected(facts) && !facts.security.protected);
}

function flagOf({ environmentFlag = '--env' }: GateRequest): string {
  return environmentFlag;
}

/** What has to be added to the call, whatever else it has. */
function whatItTakes(definition: OperationDefinition, request: GateRequest, facts: GateFacts): string {
  return [
    ...(isBehindKillSwitch(definition, facts) ? ['KILL_SWITCH_OVERRIDE=true in the environment and'] : []),
    `${flagOf(request)} ${facts.environment}`,
    ...(needsCeremony(definition, facts) ? [`--confirm ${shellQuote(facts.confirmationText)}`] : []),
    ...(wantsReason(definition, facts) ? ['--reason "…"'] : []),
  ].join(' ');
}

function deny(code: ErrorCode, reason: string, hint: string): Decision {
  return { kind: 'deny', code, reason, hint };
}
