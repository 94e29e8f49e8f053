import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import { type RunningCopy, readRunningCopies, readTableSizes } from '../../../../database/catalog/copy-progress.js';
import type { Queryable } from '../../../../database/queryable.js';
import { withConnection } from '../../../../services/with-connection.js';
import type { OperationControls, ProgressEvent } from '../../../progress.js';

const LOOK_EVERY_MS = 250;

/** Of a running table, until its end is seen: what it seems to have is an estimate. */
const MOST_OF_RUNNING = 0.99;

export interface SizedTable {
  readonly oid: number;
  /** As pg_dump says it: `schema.name`. */
  readonly name: string;
  readonly bytes: number;
}

/** The tables with their sizes: what a dump has before it. */
export async function sizesOf(
  db: Queryable,
  tables: readonly { readonly oid: number; readonly schema: string; readonly name: string }[],
): Promise<SizedTable[]> {
  const sizes = await readTableSizes(
    db,
    tables.map(({ oid }) => oid),
  );
  return tables.map(({ oid, schema, name }) => ({ oid, name: `${schema}.${name}`, bytes: sizes.get(oid) ?? 0 }));
}

export interface Watch {
  readonly settings: ConnectionSettings;
  readonly tables: readonly SizedTable[];
  /** Of the sessions that dump. */
  readonly application: string;
  readonly onProgress: OperationControls['onProgress'];
}

/**
 * Runs `dump` and says meanwhile how many bytes of its tables are done, how fast, and how long it will still take, from
 * what the server says about the COPY of its sessions. What cannot be known is not said: it never fails a dump.
 */
export async function withDumpProgress<T>(
  watch: Watch,
  dump: (onProgress: OperationControls['onProgress']) => Promise<T>,
): Promise<T> {
  const { settings, application, onProgress } = watch;
  if (onProgress === undefined || watch.tables.length === 0) return dump(onProgress);
  const progress = new DumpProgress(watch.tables);
  const over = new AbortController();
  const watching = withConnection(settings, { signal: over.signal }, async (client) => {
    while (!over.signal.aborted) {
      const event = progress.look(await readRunningCopies(client, application));
      if (event !== null && !over.signal.aborted) onProgress(event);
      await sleep(LOOK_EVERY_MS, undefined, { signal: over.signal, ref: false });
    }
  }).catch(() => undefined);
  try {
    return await dump((event) => onProgress(progress.heard(event)));
  } finally {
    over.abort();
    await watching;
  }
}

/** Puts together what pg_dump says that it has begun with, and what the server says that is running. */
export class DumpProgress {
  private readonly startedAt: number;
  private readonly byName: ReadonlyMap<string, SizedTable>;
  private readonly byOid: ReadonlyMap<number, SizedTable>;
  private readonly total: number;
  private readonly begun = new Set<number>();
  private done = 0;

  constructor(
    private readonly tables: readonly SizedTable[],
    private readonly now: () => number = Date.now,
  ) {
    this.startedAt = now();
    this.byName = new Map(tables.map((table) => [table.name, table]));
    this.byOid = new Map(tables.map((table) => [table.oid, table]));
    this.total = tables.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** What pg_dump says, with what is known about the bytes. */
  heard(event: ProgressEvent): ProgressEvent {
    const table = this.byName.get(event.step.replace(/^dumping /, ''));
    if (table === undefined) return event;
    this.begun.add(table.oid);
    return { ...event, total: Math.max(this.tables.length, (event.done ?? 0) + 1), bytes: this.bytes() };
  }

  /** What is running now; `null` where nothing is. */
  look(running: readonly RunningCopy[]): ProgressEvent | null {
    const known = running.flatMap((copy) => {
      const table = this.byOid.get(copy.oid);
      return table === undefined ? [] : [{ table, bytes: table.bytes * fractionOf(copy, table) }];
    });
    for (const { table } of known) this.begun.add(table.oid);
    const runs = new Set(known.map(({ table }) => table.oid));
    const finished = [...this.begun].filter((oid) => !runs.has(oid));
    const finishedBytes = finished.reduce((sum, oid) => sum + (this.byOid.get(oid)?.bytes ?? 0), 0);
    // one that has been begun with and does not run yet looks finished for a moment: never backwards
    this.done = Math.max(this.done, finishedBytes + known.reduce((sum, { bytes }) => sum + bytes, 0));
    const [largest] = known.sort((a, b) => b.table.bytes - a.table.bytes);
    if (largest === undefined) return null;
    return {
      step: `dumping ${largest.table.name}`,
      done: finished.length,
      total: this.tables.length,
      isDetail: true,
      bytes: this.bytes(),
    };
  }

  private bytes(): NonNullable<ProgressEvent['bytes']> {
    const done = Math.min(this.done, this.total);
    const perSecond = done / Math.max(0.001, (this.now() - this.startedAt) / 1000);
    return {
      done: Math.round(done),
      total: this.total,
      perSecond: Math.round(perSecond),
      remainingMs: perSecond === 0 ? null : Math.round(((this.total - done) / perSecond) * 1000),
    };
  }
}

/** Rows say more than bytes: a table is compressed, and has holes, and what is copied out of it is text. */
function fractionOf({ rows, bytes, expectedRows }: RunningCopy, table: SizedTable): number {
  const fraction = expectedRows > 0 ? rows / expectedRows : bytes / Math.max(1, table.bytes);
  return Math.min(MOST_OF_RUNNING, fraction);
}
