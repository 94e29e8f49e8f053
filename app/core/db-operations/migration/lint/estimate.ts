import type { Cost } from './finding.js';
import type { LiveRelation } from './live-facts.js';

/**
 * Bytes per second that a volume is sure to give: 125 MiB/s, the baseline that AWS documents for gp3, its usual one ("Amazon
 * EBS general purpose SSD volumes"). Nothing is measured, and caches, replicas and other work count for as much: the
 * result is an order of magnitude, and says so.
 */
const BYTES_PER_SECOND = 125 * 1024 * 1024;

/** Bytes below which a table is read or written in a blink, at that rate within 0.1 s or so. */
const SMALL = 10 * 1024 * 1024;

export interface Estimate {
  readonly words: string | null;
  readonly ms: number | null;
}

/** How long a statement holds its lock once it has it. */
export function estimate(cost: Cost, live: LiveRelation | null): Estimate {
  if (cost === 'none') return { words: null, ms: null };
  if (cost === 'instant') return { words: 'instant once the lock is got', ms: 0 };
  const what = WORDS[cost];
  const bytes = live === null ? null : bytesMoved(cost, live);
  if (bytes === null) {
    return { words: cost === 'unknown' ? what : `${what}: the larger the table, the longer`, ms: null };
  }
  const ms = Math.ceil((bytes / BYTES_PER_SECOND) * 1000);
  return { words: `${what}: in the order of ${duration(ms)}`, ms };
}

/** Whether what is done to the table takes so short that nobody notices the lock. */
export function isSmall(live: LiveRelation | null): boolean {
  return live?.bytes !== null && live !== null && live.bytes + (live.indexBytes ?? 0) < SMALL;
}

const WORDS: Readonly<Record<Exclude<Cost, 'none' | 'instant'>, string>> = {
  scan: 'reads the whole table',
  index: 'reads the whole table and writes an index',
  rewrite: 'writes the whole table and its indexes anew',
  rows: 'changes rows, and holds their locks until the transaction ends',
  unknown: 'until the transaction ends',
};

/** What is written is written twice: to its place, and to the log of the server. */
function bytesMoved(cost: Cost, { bytes, indexBytes }: LiveRelation): number | null {
  if (bytes === null) return null;
  switch (cost) {
    case 'scan':
      return bytes;
    // an index is smaller than its table; how much, nobody knows before
    case 'index':
      return bytes * 2;
    case 'rewrite':
    case 'rows':
      return bytes + 2 * (bytes + (indexBytes ?? 0));
    default:
      return null;
  }
}

function duration(ms: number): string {
  if (ms < 1000) return 'less than a second';
  const seconds = Math.round(ms / 1000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
