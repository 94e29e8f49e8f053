import type { LiveTriggerFunction } from '../../database/catalog/live-triggers.js';
import type { RegisteredFunction } from '../../database/records/trigger-registry.js';

/** Whether a function does something else than when it was installed. `serverVersionNum`: of the server that says so. */
export function isChangedByHand(
  live: LiveTriggerFunction,
  registered: RegisteredFunction,
  serverVersionNum: number,
): boolean {
  // every major version prints what stands around the body in its own way
  const isSameMajor = Math.floor(registered.serverVersionNum / 10_000) === Math.floor(serverVersionNum / 10_000);
  const compared = isSameMajor ? (text: string) => text : bodyOf;
  return compared(live.definition) !== compared(registered.definition);
}

/** From `AS $function$` on. */
function bodyOf(definition: string): string {
  const start = definition.indexOf('\nAS ');
  return start === -1 ? definition : definition.slice(start);
}
