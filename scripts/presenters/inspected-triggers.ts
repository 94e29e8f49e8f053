import type { InspectedTrigger } from '../../app/core/db-operations/inspection.js';
import type { Paint } from './paint.js';
import { cell, type Section } from './section.js';

/** Triggers in the order in which they fire; `withTable` where they are of several. */
export function triggerSection(
  triggers: readonly InspectedTrigger[],
  { paint, withTable }: { readonly paint: Paint; readonly withTable: boolean },
): Section {
  return {
    title: 'Triggers, in firing order',
    head: [...(withTable ? ['table'] : []), 'trigger', 'fires', 'level', 'function', 'enabled', 'comment'],
    rows: triggers.map((t) => [
      ...(withTable ? [cell(`${t.schema}.${t.table}`)] : []),
      cell(t.name),
      `${t.timing} ${t.events.join(' OR ')}`,
      levelOf(t),
      cell(t.function),
      [modeOf(t.enabled, paint), ...(t.inherited ? ['inherited'] : [])].join(', '),
      cell(t.comment),
    ]),
  };
}

/** Also of a rule. */
export function modeOf(enabled: InspectedTrigger['enabled'], paint: Paint): string {
  return enabled === 'disabled' ? paint.yellow(enabled) : enabled;
}

/** `ROW, deferred` of a constraint trigger that fires at the end of the transaction. */
function levelOf({ level, constraint }: InspectedTrigger): string {
  return constraint === null || constraint === 'immediate' ? level : `${level}, ${constraint}`;
}
