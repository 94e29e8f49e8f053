import type { RelationName } from '../../../database/catalog/relation-names.js';
import { readTriggers, type Trigger } from '../../../database/catalog/triggers.js';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { nearest } from '../../nearest.js';
import { nextCommand } from '../../next-command.js';
import { shellQuote } from '../../shell-quote.js';
import { findRelation } from '../inspection/find-relation.js';

export interface TriggerName {
  readonly table: string;
  readonly name: string;
}

export interface FoundTrigger {
  readonly relation: RelationName;
  readonly trigger: Trigger;
}

/**
 * The trigger that a user means. Those of constraints and the copies on partitions cannot be meant.
 *
 * @throws ManageDbError `NOT_FOUND` with the nearest name, `USAGE` when more than one schema has the table
 */
export async function findTrigger(db: Queryable, { table, name }: TriggerName): Promise<FoundTrigger> {
  const relation = await findRelation(db, table);
  const triggers = await readTriggers(db, { schema: relation.schema, relation: relation.name });
  const trigger = triggers.find((each) => each.name === name);
  if (trigger !== undefined) return { relation, trigger };
  const names = triggers.map((each) => each.name);
  const suggestion = nearest(name, names) ?? (names.length === 1 ? names[0] : null);
  throw new ManageDbError('NOT_FOUND', `${relation.schema}.${relation.name} has no trigger ${name}.`, {
    hint: suggestion
      ? `Did you mean ${suggestion}?`
      : `See what it has: ${nextCommand(`inspect-db --table ${shellQuote(`${relation.schema}.${relation.name}`)}`)}. A partition's are those of its parent.`,
    details: { schema: relation.schema, table: relation.name, name, suggestion },
  });
}
