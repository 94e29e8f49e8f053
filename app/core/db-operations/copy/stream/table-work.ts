import type { StreamableTable } from '../../../../database/catalog/streamable-tables.js';
import { type CopiedRows, copyBetween, sentBytes } from '../../../../services/connection/copy-between.js';
import type { Entry } from '../../database-state/contents.js';
import { qualified } from '../../inspection/find-relation.js';
import { analyzeTable } from './analyze.js';
import { naming, namingSecret } from './copy-error.js';
import { copyInStatement, copyOutStatement, type Pages, type RowFormat, rangesOf } from './copy-statements.js';
import type { Lane } from './lane.js';
import { type MakeEntry, nameOf } from './make-entry.js';
import type { CopyProgress } from './progress.js';
import type { CopiedTable } from './stream-copy.js';
import type { Task } from './tasks.js';

/** Tables up to this size are done in one go, without giving their indexes to others. */
const SMALL_BYTES = 4 << 20;

/** Emptying a table costs more than it gains where there is little in it. */
const FROZEN_FROM_BYTES = 1 << 20;

export interface TableWork {
  readonly table: StreamableTable;
  /** `null`: its rows are left out. */
  readonly format: ((lane: Lane) => Promise<RowFormat>) | null;
  /** Whether the source computes values so that others do not leave it. */
  readonly isSecret: boolean;
  /** Sessions that share it. */
  readonly sessions: number;
  /** Whether its indexes and the triggers of users are there already, which nothing may be done behind. */
  readonly isComplete: boolean;
  /** Whether what is written into it fires triggers: they may change rows, and swallow them. */
  readonly fires: boolean;
  /** Its keys, exclusion constraints and statistics, which lock it, in order. */
  readonly keys: readonly Entry[];
  /** Its indexes, which can be made at the same time. */
  readonly indexes: readonly Entry[];
  readonly make: MakeEntry;
  readonly progress: CopyProgress;
  readonly onCopied: (copied: CopiedTable) => void;
}

/** Copying the rows of a table, and then making what belongs to them: at once, while they are still in memory. */
export function tableTasks(work: TableWork): readonly Task<Lane>[] {
  const { table, format, sessions } = work;
  if (format === null) return [{ weight: 0, run: (lane) => afterRows(work, lane) }];
  const counter = new PartCounter(sessions);
  const ranges = sessions === 1 ? [null] : rangesOf(table, sessions);
  return ranges.map((pages) => ({
    weight: workOf(table),
    run: async (lane) => {
      counter.begin();
      const isLast = await copyPart(work, lane, { format, pages, counter });
      if (!isLast) return [];
      const { schema, name } = table;
      work.onCopied({ schema, name, ...counter.whole() });
      return afterRows(work, lane);
    },
  }));
}

/** A byte of an index takes about twice as long as a byte of rows. */
function workOf({ bytes, indexBytes }: StreamableTable): number {
  return bytes + 2 * indexBytes;
}

/** What is known of a table of which several sessions copy a part. */
class PartCounter {
  private startedAt: number | null = null;
  private rows = 0;
  private bytes = 0;

  constructor(private left: number) {}

  begin(): void {
    this.startedAt ??= performance.now();
  }

  end({ rows, bytes }: CopiedRows): boolean {
    this.rows += rows;
    this.bytes += bytes;
    this.left--;
    return this.left === 0;
  }

  whole(): CopiedRows & { readonly durationMs: number } {
    const durationMs = Math.round(performance.now() - (this.startedAt ?? performance.now()));
    return { rows: this.rows, bytes: this.bytes, durationMs };
  }
}

interface Part {
  readonly format: (lane: Lane) => Promise<RowFormat>;
  readonly pages: Pages | null;
  readonly counter: PartCounter;
}

/** Returns whether it was the last part of its table. */
async function copyPart(work: TableWork, lane: Lane, { format: formatFor, pages, counter }: Part): Promise<boolean> {
  const { table, sessions, isComplete, fires, progress } = work;
  // rows of a table that was emptied in the same transaction are final when they are written: what is made of them need not
  // write their pages again. What an extension has put into its table stays, and so does what other sessions copy into it
  const mayEmpty = sessions === 1 && !isComplete && table.extensionRows === null;
  const isFrozen = mayEmpty && table.isHeap && table.bytes >= FROZEN_FROM_BYTES;
  const start = sentBytes(lane.target);
  const running = {
    name: qualified(table),
    expectedBytes: table.bytes / sessions,
    sentBytes: () => sentBytes(lane.target) - start,
  };
  progress.begin(running);
  const saying = work.isSecret ? namingSecret : naming;
  const copied = await saying(`The rows of ${qualified(table)} could not be copied`, () =>
    // what a trigger finds decides on what it does
    lane[fires ? 'underDatabasePath' : 'underEitherPath'](async () => {
      const source = await lane.source();
      const format = await formatFor(lane);
      await lane.target.query(isFrozen ? `begin; truncate only ${table.quotedName}` : 'begin');
      const rows = await copyBetween(
        { client: source, statement: copyOutStatement(table, format, pages) },
        { client: lane.target, statement: copyInStatement(table, format, isFrozen), maySwallow: fires },
      );
      await lane.target.query('commit');
      return rows;
    }),
  );
  const isLast = counter.end(copied);
  progress.end(running, isLast);
  return isLast;
}

async function afterRows(work: TableWork, lane: Lane): Promise<readonly Task<Lane>[]> {
  const { table, keys, indexes, make, progress } = work;
  if (keys.length > 0 && table.bytes > SMALL_BYTES) progress.say(`making the keys of ${qualified(table)}`);
  for (const entry of keys) await make(lane, entry);
  if (table.bytes <= SMALL_BYTES) {
    for (const entry of indexes) await make(lane, entry);
    await analyze(work, lane);
    return [];
  }
  let left = indexes.length;
  const analyzing: Task<Lane> = {
    weight: 0,
    run: async (next) => {
      await analyze(work, next);
      return [];
    },
  };
  if (left === 0) return [analyzing];
  return indexes.map((entry) => ({
    weight: workOf(table),
    run: async (next) => {
      progress.say(`making ${nameOf(entry)}`);
      await make(next, entry);
      left--;
      return left === 0 ? [analyzing] : [];
    },
  }));
}

/** Partitions are looked at together with the table that they belong to, parents with their heirs. */
async function analyze({ table, progress }: TableWork, lane: Lane): Promise<void> {
  if (table.isPartition || table.isParent) return;
  if (table.bytes > SMALL_BYTES) progress.say(`analyzing ${qualified(table)}`);
  await analyzeTable(lane, table);
}
