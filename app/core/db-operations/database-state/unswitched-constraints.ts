import {
  type ConstraintTriggerMode,
  readConstraintTriggerModes,
} from '../../../database/catalog/constraint-trigger-modes.js';
import type { Queryable } from '../../../database/queryable.js';

/**
 * A sentence for every constraint that is enforced where somebody had switched it. Only superusers may switch them, and
 * constraints of partitions may have got other names.
 */
export async function readUnswitched(db: Queryable, wanted: readonly ConstraintTriggerMode[]): Promise<string[]> {
  const sentences = (await readAbsent(db, wanted)).map(
    ({ schema, table, constraint, mode }) =>
      `The constraint ${constraint} is enforced on ${schema}.${table}, where its trigger was ${mode}: only a superuser can switch it.`,
  );
  return [...new Set(sentences)];
}

/** Those of `modes` that no constraint trigger is in. */
export async function readAbsent(
  db: Queryable,
  modes: readonly ConstraintTriggerMode[],
): Promise<ConstraintTriggerMode[]> {
  if (modes.length === 0) return [];
  const there = new Set((await readConstraintTriggerModes(db)).map(keyOf));
  return modes.filter((mode) => !there.has(keyOf(mode)));
}

function keyOf({ schema, table, constraint, ofSchema, ofTable, function: of, mode }: ConstraintTriggerMode): string {
  return JSON.stringify([schema, table, constraint, ofSchema, ofTable, of, mode]);
}
