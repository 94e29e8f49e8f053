import { isDeepStrictEqual } from 'node:util';
import { type LargeObjectContent, openLargeObjects } from '../../../database/catalog/large-object-contents.js';
import type { DifferenceState } from './found-difference.js';
import type { Part } from './part.js';
import { onBoth, type Side, type Sides } from './side.js';

export interface LargeObjectDifference {
  readonly oid: number;
  readonly state: DifferenceState;
  /** `contents`, `owner`, `grants`, `comment`; empty where one side does not have it. */
  readonly changes: readonly string[];
}

export interface ComparedLargeObjects {
  /** That both have. */
  readonly compared: number;
  /** How many differ, are missing, or are there only. */
  readonly different: number;
  /** How many the login cannot read on both sides. */
  readonly unreadable: number;
  /** The first thousand of those that differ. */
  readonly differences: readonly LargeObjectDifference[];
}

const MOST_LISTED = 1000;

/** Every large object by its oid: both sides are walked through together, so that a batch of each is in memory. */
export async function compareLargeObjects(sides: Sides, part: Part): Promise<ComparedLargeObjects> {
  const [from, to] = await onBoth(sides, openWalk);
  const differences: LargeObjectDifference[] = [];
  const count = { compared: 0, different: 0, unreadable: 0 };
  const note = (oid: number, state: DifferenceState, changes: readonly string[]): void => {
    count.different += 1;
    if (differences.length < MOST_LISTED) differences.push({ oid, state, changes });
  };
  for (;;) {
    if (from.isDry() || to.isDry()) await onBoth(sides, (side) => (side === sides.from ? from : to).fill());
    const [one, other] = [from.next(), to.next()];
    if (one === undefined && other === undefined) return { ...count, differences };
    if (one !== undefined && (other === undefined || one.oid < other.oid)) {
      note(one.oid, 'only_in_from', []);
      from.advance();
    } else if (other !== undefined && (one === undefined || other.oid < one.oid)) {
      note(other.oid, 'only_in_to', []);
      to.advance();
    } else if (one !== undefined && other !== undefined) {
      count.compared += 1;
      if (one.checksum === null || other.checksum === null) count.unreadable += 1;
      const changes = changesBetween(one, other, part);
      if (changes.length > 0) note(one.oid, 'different', changes);
      from.advance();
      to.advance();
    }
  }
}

interface Walk {
  /** Whether more has to be fetched to know the next one. */
  readonly isDry: () => boolean;
  readonly fill: () => Promise<void>;
  readonly next: () => LargeObjectContent | undefined;
  readonly advance: () => void;
}

async function openWalk({ client }: Side): Promise<Walk> {
  const fetch = await openLargeObjects(client, 'large_objects');
  let batch: LargeObjectContent[] = [];
  let at = 0;
  let isDone = false;
  return {
    isDry: () => at >= batch.length && !isDone,
    async fill() {
      if (at < batch.length || isDone) return;
      batch = await fetch();
      at = 0;
      isDone = batch.length === 0;
    },
    next: () => batch[at],
    advance() {
      at += 1;
    },
  };
}

function changesBetween(one: LargeObjectContent, other: LargeObjectContent, part: Part): string[] {
  const isRead = one.checksum !== null && other.checksum !== null;
  return [
    ...(isRead && one.checksum !== other.checksum ? ['contents'] : []),
    ...(part.withOwners && one.owner !== other.owner ? ['owner'] : []),
    ...(part.withGrants && !isDeepStrictEqual(one.grants, other.grants) ? ['grants'] : []),
    ...(one.comment !== other.comment ? ['comment'] : []),
  ];
}
