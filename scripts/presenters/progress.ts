import type { ProgressEvent } from '../../app/core/progress.js';
import { printable } from './printable.js';
import { formatBytes, formatDuration } from './units.js';

/** `dumping public.visits (3/17), 1.2 GB of 4.0 GB, 95.0 MB/s, 30.1 s left`. */
export function progressText({ step, done, total, bytes }: ProgressEvent): string {
  const count = done === undefined || total === undefined ? '' : ` (${done + 1}/${total})`;
  if (bytes === undefined) return `${printable(step)}${count}`;
  const { remainingMs } = bytes;
  const words = [
    `${printable(step)}${count}`,
    `${formatBytes(bytes.done)} of ${formatBytes(bytes.total)}`,
    ...(bytes.perSecond > 0 ? [`${formatBytes(bytes.perSecond)}/s`] : []),
    ...(remainingMs === null ? [] : [`${formatDuration(remainingMs)} left`]),
  ];
  return words.join(', ');
}
