import { addAbortSignal, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManageDbError } from '../../core/errors.js';
import { isTransient, s3Error } from './s3-errors.js';
import { checksumOf, objectOf, type S3Place } from './s3-object.js';
import type { ReadOptions } from './storage.js';
import { verified } from './verified.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/** Reads an object; a connection that breaks is taken up where it broke, as long as every attempt gets further. */
export async function readObject(place: S3Place, key: string, { signal, sha256 }: ReadOptions): Promise<Readable> {
  const name = `s3://${place.bucket}/${key}`;
  const work = { work: `reading ${name}`, signal };
  const ending = new AbortController();
  const abortSignal = signal === undefined ? ending.signal : AbortSignal.any([signal, ending.signal]);
  const { client, sdk, bucket } = place;
  const get = async (condition: { Range?: string; IfMatch?: string | undefined }) => {
    const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: key, ...condition });
    const answer = await client.send(command, { abortSignal });
    if (!(answer.Body instanceof Readable)) throw new ManageDbError('INTERNAL', `${name} came without a content.`);
    return { ...answer, Body: addAbortSignal(abortSignal, answer.Body) };
  };
  const first = await get({}).catch((error: unknown) => {
    throw s3Error(error, work);
  });
  const object = objectOf(first);
  const { sizeBytes, etag } = object;

  async function* content(): AsyncGenerator<Buffer, void, undefined> {
    let body: Readable | null = first.Body;
    let offset = 0;
    for (let failures = 0; ; failures += 1) {
      try {
        body ??= (await get({ Range: `bytes=${offset}-`, IfMatch: etag })).Body;
        for await (const bytes of withoutIdling(body, place.idleMs)) {
          offset += bytes.length;
          failures = 0;
          yield bytes;
        }
        return;
      } catch (error) {
        if (abortSignal.aborted || !isTransient(error)) throw error;
        if (offset >= sizeBytes) return;
        if (failures + 1 >= place.attempts) throw error;
        body = null;
        await sleep(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures), undefined, { signal: abortSignal });
      }
    }
  }

  async function* checked(): AsyncGenerator<Buffer, void, undefined> {
    try {
      const kept = await checksumOf(place, object, abortSignal);
      const sha256s = [kept, sha256].filter((one) => typeof one === 'string');
      yield* verified(content(), { sizeBytes, sha256s }, name);
    } catch (error) {
      throw s3Error(error, work);
    }
  }

  const stream = Readable.from(checked(), { objectMode: false });
  // a reader that stops must not leave a connection open
  stream.once('close', () => ending.abort());
  return stream;
}

/** A connection on which nothing comes any more is no error of its own: after `idleMs` it becomes one. */
async function* withoutIdling(body: Readable, idleMs: number): AsyncGenerator<Buffer, void, undefined> {
  const chunks: AsyncIterator<Buffer> = body[Symbol.asyncIterator]();
  for (;;) {
    const timer = setTimeout(() => body.destroy(timeout(idleMs)), idleMs);
    const next = await chunks.next().finally(() => clearTimeout(timer));
    if (next.done) return;
    yield next.value;
  }
}

function timeout(idleMs: number): Error {
  return Object.assign(new Error(`nothing came for ${idleMs} ms`), { name: 'TimeoutError', code: 'ETIMEDOUT' });
}
