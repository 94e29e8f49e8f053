import type { EnvironmentConfig } from '../../config/db-config.js';
import { currentActor } from '../../services/actor.js';
import type { Consent } from './consent.js';
import { type Decision, type GateFacts, type GateRequest, isBehindKillSwitch } from './decide.js';
import { OPERATIONS, type OperationDefinition } from './operations.js';

/** Tells the configured logger what the kill switch has blocked or let pass. The operation log has it in any case. */
export function reportKillSwitch(
  { killSwitch }: EnvironmentConfig,
  decision: Decision,
  { request, facts, consent }: { request: GateRequest; facts: GateFacts; consent: Consent },
): void {
  const definition: OperationDefinition = OPERATIONS[request.operation];
  const isBlocked = decision.kind !== 'allow' && decision.code === 'KILL_SWITCH';
  const isOverridden = decision.kind === 'allow' && isBehindKillSwitch(definition, facts) && !request.isDryRun;
  if (killSwitch.logger === null || !(isBlocked || isOverridden)) return;
  const { environment, database, access } = facts;
  try {
    killSwitch.logger({
      at: new Date().toISOString(),
      outcome: isBlocked ? 'blocked' : 'overridden',
      operation: request.operation,
      environment,
      database,
      actor: currentActor() ?? access.login,
      reason: consent.reason ?? null,
    });
  } catch {
    // a logger of the host application that fails must not decide about operations
  }
}
