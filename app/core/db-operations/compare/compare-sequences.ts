import { readSequencePositions, type SequencePosition } from '../../../database/catalog/sequence-positions.js';
import type { Unreadable } from '../../../database/catalog/unreadable.js';
import { isInPart, type Part } from './part.js';
import { onBoth, type Sides } from './side.js';

export interface ComparedSequence {
  readonly schema: string;
  readonly name: string;
  readonly state: 'equal' | 'different' | 'not_compared';
  /** `null` where it was not read. */
  readonly from: SequenceValue | null;
  readonly to: SequenceValue | null;
}

export interface SequenceValue {
  /** As text: it may be larger than a number of JavaScript. */
  readonly lastValue: string;
  /** `false`: it gives `lastValue` next, and not the one after it. */
  readonly isCalled: boolean;
}

/** Where each sequence stands that both have. */
export async function compareSequences(
  sides: Sides,
  part: Part,
  unreadable: readonly Unreadable[],
): Promise<ComparedSequence[]> {
  const unread = new Set(unreadable.filter(({ kind }) => kind === 'sequence').map(keyOf));
  const [ours, theirs] = await onBoth(sides, ({ client }) =>
    readSequencePositions(client, (sequence) => !sequence.isOfExtension && !unread.has(keyOf(sequence))),
  );
  const others = new Map(theirs.map((sequence) => [keyOf(sequence), sequence]));
  return ours
    .filter((sequence) => takesPart(sequence, part))
    .flatMap((sequence): ComparedSequence[] => {
      const other = others.get(keyOf(sequence));
      if (other === undefined) return [];
      const { schema, name } = sequence;
      const [from, to] = [positionOf(sequence), positionOf(other)];
      if (from === null || to === null) return [{ schema, name, state: 'not_compared', from: null, to: null }];
      const isEqual = from.lastValue === to.lastValue && from.isCalled === to.isCalled;
      return [{ schema, name, state: isEqual ? 'equal' : 'different', from, to }];
    });
}

/** One that numbers a column is selected with its table. */
function takesPart({ schema, name, ofTable, isOfExtension }: SequencePosition, part: Part): boolean {
  if (isOfExtension) return false;
  return isInPart(part, schema, name) || (ofTable !== null && isInPart(part, ofTable.schema, ofTable.name));
}

function positionOf({ lastValue, isCalled }: SequencePosition): SequenceValue | null {
  return lastValue === null || isCalled === null ? null : { lastValue, isCalled };
}

function keyOf({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return JSON.stringify([schema, name]);
}
