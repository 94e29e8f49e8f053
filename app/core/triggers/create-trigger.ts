import { escapeIdentifier, escapeLiteral } from 'pg';
import type { TriggerTarget } from '../../database/catalog/trigger-targets.js';
import type { PlannedTrigger, UndecidedTrigger } from './planned-trigger.js';

/** `CREATE [OR REPLACE] [CONSTRAINT] TRIGGER` for a planned trigger. PostgreSQL replaces no constraint trigger. */
export function createTrigger(planned: PlannedTrigger): string {
  const { action, declaration } = planned;
  const verb = action === 'replace' ? 'create or replace' : 'create';
  return `${verb} ${kindOf(planned)} ${escapeIdentifier(declaration.name)} ${triggerOn(tableName(planned), planned)}`;
}

export function kindOf({ declaration }: UndecidedTrigger): string {
  return declaration.constraint === null ? 'trigger' : 'constraint trigger';
}

export function dropTrigger(planned: { readonly target: TriggerTarget; readonly name: string }): string {
  return `drop trigger ${escapeIdentifier(planned.name)} on ${tableName(planned)}`;
}

/** Everything of CREATE TRIGGER after the trigger's name; `table` is quoted already. */
export function triggerOn(table: string, { declaration, function: called }: UndecidedTrigger): string {
  const { timing, on, updateOf, level, when, args, referencing, constraint } = declaration;
  const events = on.map((event) =>
    event === 'update' && updateOf !== null
      ? `update of ${updateOf.map((column) => escapeIdentifier(column)).join(', ')}`
      : event,
  );
  return [
    `${timing} ${events.join(' or ')} on ${table}`,
    ...(constraint?.deferrable
      ? [`deferrable initially ${constraint.initiallyDeferred ? 'deferred' : 'immediate'}`]
      : []),
    ...(referencing.old === null && referencing.new === null ? [] : ['referencing']),
    ...(referencing.old === null ? [] : [`old table as ${escapeIdentifier(referencing.old)}`]),
    ...(referencing.new === null ? [] : [`new table as ${escapeIdentifier(referencing.new)}`]),
    `for each ${level}`,
    ...(when === null ? [] : [`when (${when})`]),
    `execute function ${escapeIdentifier(called.schema)}.${escapeIdentifier(called.name)}(${args.map((arg) => escapeLiteral(arg)).join(', ')})`,
  ].join(' ');
}

/** `"schema"."table"` */
export function tableName({ target }: { readonly target: TriggerTarget }): string {
  return `${escapeIdentifier(target.schema)}.${escapeIdentifier(target.name)}`;
}
