import { readUnreadable } from '../../../database/catalog/unreadable.js';
import { type ComparedLargeObjects, compareLargeObjects } from './compare-large-objects.js';
import { type ComparedSequence, compareSequences } from './compare-sequences.js';
import { type ComparedTable, compareTables } from './compare-tables.js';
import { type NotCompared, unreadOf } from './incomparable.js';
import type { Part } from './part.js';
import { onBoth, type Sides } from './side.js';

export interface ComparedContents {
  /** Every table of either side, by schema and name. */
  readonly tables: readonly ComparedTable[];
  /** Those that both have. */
  readonly sequences: readonly ComparedSequence[];
  /** `null` where only some schemas or tables are compared: they belong to none. */
  readonly largeObjects: ComparedLargeObjects | null;
}

/** Rows, sequences and large objects, in the snapshots of both sides. */
export async function compareContents(
  sides: Sides,
  part: Part,
): Promise<{ readonly contents: ComparedContents; readonly notCompared: readonly NotCompared[] }> {
  const [ours, theirs] = await onBoth(sides, ({ client }) => readUnreadable(client));
  const unreadable = [...ours, ...theirs];
  const sequences = await compareSequences(sides, part, unreadable);
  const largeObjects = part.selection === null ? await compareLargeObjects(sides, part) : null;
  const tables = await compareTables(sides, part, unreadable);
  const contents = { tables, sequences, largeObjects };
  const unread = largeObjects?.unreadable ?? 0;
  return {
    contents,
    notCompared: [
      ...unreadOf(sides.from, ours, [...tables, ...sequences]),
      ...unreadOf(sides.to, theirs, [...tables, ...sequences]),
      ...(unread === 0 ? [] : [unreadLargeObjects(sides, unread)]),
    ],
  };
}

function unreadLargeObjects({ from, to }: Sides, unread: number): NotCompared {
  return {
    what: 'large objects',
    name: String(unread),
    environment: `${from.target.environment}, ${to.target.environment}`,
    because: `${from.target.user} or ${to.target.user} may not read them.`,
  };
}
