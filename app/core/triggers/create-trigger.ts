import { escapeIdentifier, escapeLiteral } from 'pg';
import type { PlannedTrigger, UndecidedTrigger } from './planned-trigger.js';

/** `CREATE [OR REPLACE] TRIGGER` for a planned trigger. */
export function createTrigger(planned: PlannedTrigger): string {
  const verb = planned.action === 'create' ? 'create' : 'create or replace';
  return `${verb} trigger ${escapeIdentifier(planned.declaration.name)} ${triggerOn(tableName(planned), planned)}`;
}

/** Everything of CREATE TRIGGER after the trigger's name; `table` is quoted already. */
export function triggerOn(table: string, { declaration, function: called }: UndecidedTrigger): string {
  const { timing, on, updateOf, level, when, args } = declaration;
  const events = on.map((event) =>
    event === 'update' && updateOf !== null
      ? `update of ${updateOf.map((column) => escapeIdentifier(column)).join(', ')}`
      : event,
  );
  return [
    `${timing} ${events.join(' or ')} on ${table}`,
    `for each ${level}`,
    ...(when === null ? [] : [`when (${when})`]),
    `execute function ${escapeIdentifier(called.schema)}.${escapeIdentifier(called.name)}(${args.map((arg) => escapeLiteral(arg)).join(', ')})`,
  ].join(' ');
}

/** `"schema"."table"` */
export function tableName({ target }: UndecidedTrigger): string {
  return `${escapeIdentifier(target.schema)}.${escapeIdentifier(target.name)}`;
}
