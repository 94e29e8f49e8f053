import type { OperationControls, ProgressEvent } from '../../../progress.js';

const LOOK_EVERY_MS = 250;

/** Of a table that is being copied, until its end is seen: what there will be of it is an estimate. */
const MOST_OF_RUNNING = 0.99;

/** A range of a table, or all of it, on its way. */
export interface RunningPart {
  readonly name: string;
  /** As it lies on the source's disk: what is sent is more or less. */
  readonly expectedBytes: number;
  readonly sentBytes: () => number;
}

export interface TablesToCopy {
  readonly tables: number;
  readonly bytes: number;
}

/** Says how far the copy of the rows has come: on its own account, a few times in a second. */
export class CopyProgress {
  private readonly startedAt = performance.now();
  private readonly running = new Set<RunningPart>();
  private readonly timer: NodeJS.Timeout;
  private doneBytes = 0;
  private doneTables = 0;

  constructor(
    private readonly whole: TablesToCopy,
    private readonly onProgress: OperationControls['onProgress'],
  ) {
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
  }

  begin(part: RunningPart): void {
    this.running.add(part);
    this.look();
  }

  /** @param isLast whether its table is complete */
  end(part: RunningPart, isLast: boolean): void {
    this.running.delete(part);
    this.doneBytes += part.expectedBytes;
    if (isLast) this.doneTables++;
  }

  /** What is made of the rows that are there. */
  say(step: string): void {
    this.onProgress?.({ step, ...this.counts(), isDetail: true });
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    const [largest] = [...this.running].sort((one, other) => other.expectedBytes - one.expectedBytes);
    if (largest !== undefined) this.say(`copying ${largest.name}`);
  }

  private counts(): Pick<ProgressEvent, 'done' | 'total' | 'bytes'> {
    const running = [...this.running].reduce(
      (sum, part) => sum + Math.min(part.expectedBytes * MOST_OF_RUNNING, part.sentBytes()),
      0,
    );
    const done = Math.min(this.whole.bytes, this.doneBytes + running);
    const perSecond = done / Math.max(0.001, (performance.now() - this.startedAt) / 1000);
    return {
      done: this.doneTables,
      total: this.whole.tables,
      bytes: {
        done: Math.round(done),
        total: this.whole.bytes,
        perSecond: Math.round(perSecond),
        remainingMs: perSecond === 0 ? null : Math.round(((this.whole.bytes - done) / perSecond) * 1000),
      },
    };
  }
}
