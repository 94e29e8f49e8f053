import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamCopy, StreamedCopy } from '../../app/core/db-operations/copy/stream/stream-copy.js';
import { streamInto } from '../../app/core/db-operations/copy/stream/stream-into.js';
import type { OperationControls } from '../../app/core/progress.js';
import type { ScratchDatabase } from './scratch-database.js';
import { settingsOf } from './settings-of.js';
import { until } from './until.js';

/** Fills `scratch`, on the same server unless the options say otherwise, with `source` and everything in it. */
export async function streamCopy(
  source: Pick<ScratchDatabase, 'url'>,
  scratch: string,
  options: Partial<StreamCopy> = {},
): Promise<StreamedCopy> {
  const settings = await settingsOf(source.url);
  return streamInto({
    ...{ source: settings, target: settings, scratch, sourceMajor: 15, targetMajor: 15, jobs: 2 },
    ...{ leaveOut: { largeObjects: false, rowsOf: [] }, controls: {} },
    ...options,
  });
}

/** Does something a moment after a step has begun, and again until it has hit a row: the step may not be at it yet. */
export function later(
  step: RegExp,
  work: () => Promise<{ readonly rowCount: number | null }>,
): NonNullable<OperationControls['onProgress']> {
  let isDone = false;
  return (event) => {
    if (isDone || !step.test(event.step)) return;
    isDone = true;
    void sleep(200).then(() => until(`${step} was hit`, async () => (await work()).rowCount !== 0));
  };
}
