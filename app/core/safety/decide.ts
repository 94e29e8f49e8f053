import type { SecuritySettings } from '../../config/settings.js';
import type { ErrorCode } from '../errors.js';
import type { Consent } from './consent.js';
import { OPERATIONS, type OperationDefinition, type OperationName } from './operations.js';

/** What is asked for. */
export interface GateRequest {
  readonly operation: OperationName;
  readonly consent: Consent;
  readonly isDryRun: boolean;
  /** Whether the environment was named for this very call (`--env`), not merely active. */
  readonly isEnvironmentExplicit: boolean;
}

/** What is known about the database when the decision is made. */
export interface GateFacts {
  readonly environment: string;
  readonly database: string;
  readonly security: SecuritySettings;
  /** The database belongs to a server that manage_db made for this workspace. */
  readonly isOwnServer: boolean;
}

export type Decision =
  | { readonly kind: 'allow' }
  | { readonly kind: 'deny'; readonly code: ErrorCode; readonly reason: string; readonly hint: string };

const ALLOW: Decision = { kind: 'allow' };

/**
 * Decides whether an operation may happen. Pure: the same request and facts always give the same decision.
 *
 * @example decide({ operation: 'reset-database', consent: {}, isDryRun: false, isEnvironmentExplicit: false }, facts).kind // 'deny'
 */
export function decide(request: GateRequest, facts: GateFacts): Decision {
  const { effect, canDryRun }: OperationDefinition = OPERATIONS[request.operation];
  if (request.isDryRun && !canDryRun) {
    return {
      kind: 'deny',
      code: 'USAGE',
      reason: `${request.operation} has no dry run; nothing was changed.`,
      hint: `See: manage_db ${request.operation} --help`,
    };
  }
  if (effect === 'read' || request.isDryRun) return ALLOW;
  if (facts.security.protected || facts.security.confirmation === 'typed') return decideCeremony(request, facts);
  if (facts.isOwnServer && facts.security.confirmation === 'none') return ALLOW;
  if (effect === 'write' || request.consent.yes === true || hasTypedText(request, facts)) return ALLOW;
  return {
    kind: 'deny',
    code: 'CONFIRMATION_REQUIRED',
    reason: `${request.operation} destroys data on ${facts.environment} (${facts.database}); nothing was changed.`,
    hint: `If that is meant, say so: manage_db ${request.operation} --env ${facts.environment} --yes`,
  };
}

/**
 * The text that must be typed to let `operation` loose on `database`.
 *
 * @example confirmationText('reset-database', 'clinic') // 'EXECUTE RESET_DATABASE ON clinic'
 */
export function confirmationText(operation: OperationName, database: string): string {
  return `EXECUTE ${operation.toUpperCase().replaceAll('-', '_')} ON ${database}`;
}

function decideCeremony(request: GateRequest, facts: GateFacts): Decision {
  const text = confirmationText(request.operation, facts.database);
  const reasonFlag = facts.security.reasonRequired ? ' --reason "…"' : '';
  const command = `manage_db ${request.operation} --env ${facts.environment} --confirm "${text}"${reasonFlag}`;
  const deny = (code: ErrorCode, missing: string): Decision => ({
    kind: 'deny',
    code,
    reason: `${request.operation} on ${facts.environment} (${facts.database}), which is protected, needs ${missing}; nothing was changed.`,
    hint: `If that is meant: ${command}`,
  });
  if (!request.isEnvironmentExplicit) return deny('PROTECTED_ENVIRONMENT', 'its environment named by --env');
  if (request.consent.confirm === undefined)
    return deny('CONFIRMATION_REQUIRED', 'a typed confirmation; --yes is not enough');
  if (!hasTypedText(request, facts))
    return deny('CONFIRMATION_MISMATCH', 'another confirmation than the one that was typed');
  if (facts.security.reasonRequired && !request.consent.reason?.trim())
    return deny('CONFIRMATION_REQUIRED', 'a --reason');
  return ALLOW;
}

function hasTypedText(request: GateRequest, facts: GateFacts): boolean {
  return request.consent.confirm === confirmationText(request.operation, facts.database);
}
