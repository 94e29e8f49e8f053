import type { LiveTrigger } from '../../database/catalog/live-triggers.js';
import { TGTYPE } from '../../database/catalog/trigger-sql.js';
import type { RegisteredTrigger } from '../../database/records/trigger-registry.js';
import { constraintWords, type DeclaredState } from './declared-state.js';

/** The parts of a trigger in words, under the names that people and differences use. */
export type TriggerWords = Readonly<Record<(typeof PARTS)[number], string | null>>;

export const PARTS = [
  'timing',
  'events',
  'level',
  'columns',
  'condition',
  'arguments',
  'old table',
  'new table',
  'constraint',
  'function',
] as const;

/** Of what the catalog says, or said when the trigger was installed. */
export function wordsOf({
  fields,
  args,
  functionSchema,
  functionName,
}: Pick<LiveTrigger | RegisteredTrigger, 'fields' | 'args' | 'functionSchema' | 'functionName'>): TriggerWords {
  const { type } = fields;
  return {
    timing: (type & TGTYPE.before) !== 0 ? 'before' : (type & TGTYPE.insteadOf) !== 0 ? 'instead of' : 'after',
    events: EVENTS.filter((event) => (type & TGTYPE[event]) !== 0).join(', '),
    level: (type & TGTYPE.row) !== 0 ? 'row' : 'statement',
    columns: listed(fields.updateOf),
    condition: fields.when,
    arguments: listed(args.map((argument) => JSON.stringify(argument))),
    'old table': fields.oldTable,
    'new table': fields.newTable,
    constraint: fields.isConstraint
      ? constraintWords({ deferrable: fields.isDeferrable, initiallyDeferred: fields.isInitiallyDeferred })
      : null,
    function: `${functionSchema}.${functionName}`,
  };
}

/** Of what a declaration says. Its condition stands as it was written. */
export function declaredWords(state: DeclaredState): TriggerWords {
  return {
    timing: state.timing,
    events: EVENTS.filter((event) => state.on.includes(event)).join(', '),
    level: state.level,
    columns: listed(state.updateOf ?? []),
    condition: state.when,
    arguments: listed(state.args.map((argument) => JSON.stringify(argument))),
    'old table': state.oldTable,
    'new table': state.newTable,
    constraint: state.constraint,
    function: state.function,
  };
}

/** In the order in which PostgreSQL prints them. */
const EVENTS = ['insert', 'delete', 'update', 'truncate'] as const;

function listed(items: readonly string[]): string | null {
  return items.length === 0 ? null : items.join(', ');
}
