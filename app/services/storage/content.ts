import { addAbortSignal, PassThrough, pipeline, type Readable } from 'node:stream';

/**
 * `content` as a stream that ends at once when `signal` is aborted or it is destroyed, also where `content` is waiting
 * for something and does not notice. An error of `content` is kept until it is read.
 */
export function readingFrom(content: Readable, signal: AbortSignal | undefined): Readable {
  const reading = new PassThrough({ highWaterMark: 1 << 18 });
  reading.on('error', () => undefined);
  pipeline(content, reading, () => undefined);
  return signal === undefined ? reading : addAbortSignal(signal, reading);
}
