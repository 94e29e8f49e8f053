import type { LiveTriggerFunction } from '../../database/catalog/live-triggers.js';
import type { RegisteredFunction } from '../../database/records/trigger-registry.js';
import { splitDefinition } from './function-definition.js';

/** Whether a function does something else than when it was installed. */
export function isChangedByHand(live: LiveTriggerFunction, registered: RegisteredFunction): boolean {
  const [now, then] = [splitDefinition(live.definition), splitDefinition(registered.definition)];
  return now.body !== then.body || (registered.isSameMajor && now.head !== then.head);
}
