import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { ManageDbError } from '../../core/errors.js';
import { s3Error } from './s3-errors.js';
import { checksumMetadata, headObject, type S3Place, sha256Metadata } from './s3-object.js';
import type { WriteOptions, Written } from './storage.js';
import { measuring, verifyWritten } from './verified.js';

/** What S3 allows. */
const MOST_PARTS = 10_000;
const MIB = 1 << 20;

const PARTS_AT_ONCE = 4;

/** Cleaning up after a failure is not worth waiting for longer than that: `removeUnfinished` finds what stays. */
const CLEAN_UP_MS = 30_000;

export interface Upload {
  /** With the prefix, as is `checksums`, below which a checksum of its own goes. */
  readonly key: string;
  readonly checksums: string;
  readonly reading: Readable;
}

/**
 * Uploads a stream: in one request what fits into one part, else in parts as they come, a few at a time. Until the last
 * request nothing of it is visible; a failure aborts the upload, which removes its parts.
 */
export async function uploadObject(place: S3Place, upload: Upload, options: WriteOptions): Promise<Written> {
  const { reading, key } = upload;
  const { signal, sha256, expectedBytes = 0 } = options;
  try {
    const partBytes = Math.max(place.partBytes, Math.ceil((expectedBytes * 2) / MOST_PARTS / MIB) * MIB);
    const parts = inParts(reading, partBytes);
    const { value: first } = await parts.next();
    if (first?.length === partBytes) return await uploadParts(place, { ...upload, first, parts }, options);
    const measure = measuring();
    const body = first ?? Buffer.alloc(0);
    measure.update(body);
    const written = measure.end();
    verifyWritten(written, sha256, nameOf(place, key));
    await request(place, key, signal, ({ client, sdk, bucket }, abortSignal) => {
      const Metadata = sha256Metadata(written.sha256);
      return client.send(new sdk.PutObjectCommand({ Bucket: bucket, Key: key, Body: body, Metadata }), { abortSignal });
    });
    return written;
  } catch (error) {
    throw signal?.aborted ? new ManageDbError('INTERRUPTED', 'Interrupted.', { cause: error }) : error;
  }
}

interface LargeUpload extends Upload {
  readonly first: Buffer;
  readonly parts: AsyncIterable<Buffer>;
}

async function uploadParts(place: S3Place, upload: LargeUpload, { signal, sha256 }: WriteOptions): Promise<Written> {
  const { key, checksums, reading, first, parts } = upload;
  const checksumKey = checksums + randomUUID();
  const target = await begin(place, { key, checksumKey, signal });
  const failing = new AbortController();
  const abortSignal = signal === undefined ? failing.signal : AbortSignal.any([signal, failing.signal]);
  const measure = measuring();
  const sent = new Map<number, string | undefined>();
  const sending = new Set<Promise<void>>();

  const send = async (number: number, part: Buffer): Promise<void> => {
    try {
      sent.set(number, await sendPart(place, target, { number, part, abortSignal }));
    } catch (error) {
      // nobody may be waiting for this part: the content that comes next may take long
      reading.destroy(error instanceof Error ? error : undefined);
      throw error;
    }
  };
  const take = async (number: number, part: Buffer): Promise<void> => {
    if (number > MOST_PARTS) throw tooLarge(nameOf(place, key), part.length);
    measure.update(part);
    while (sending.size >= PARTS_AT_ONCE) await Promise.race(sending);
    const promise = send(number, part).finally(() => sending.delete(promise));
    promise.catch(() => undefined);
    sending.add(promise);
  };

  try {
    let number = 1;
    await take(number, first);
    for await (const part of parts) {
      number += 1;
      await take(number, part);
    }
    await Promise.all(sending);
    const written = measure.end();
    verifyWritten(written, sha256, nameOf(place, key));
    await keepChecksum(place, { key, checksumKey, sha256: written.sha256, abortSignal });
    const list = [...sent].sort(([a], [b]) => a - b).map(([PartNumber, ETag]) => ({ PartNumber, ETag }));
    await complete(place, target, { list, checksumKey, abortSignal });
    return written;
  } catch (error) {
    failing.abort();
    // parts that arrive after the upload was aborted would stay
    await Promise.allSettled(sending);
    await abandon(place, target, checksumKey);
    throw error;
  }
}

interface Target {
  readonly Bucket: string;
  readonly Key: string;
  readonly UploadId: string | undefined;
}

interface Beginning {
  readonly key: string;
  readonly checksumKey: string;
  readonly signal: AbortSignal | undefined;
}

async function begin(place: S3Place, { key, checksumKey, signal }: Beginning): Promise<Target> {
  const target = { Bucket: place.bucket, Key: key };
  const { UploadId } = await request(place, key, signal, ({ client, sdk }, abortSignal) => {
    const Metadata = checksumMetadata(checksumKey);
    return client.send(new sdk.CreateMultipartUploadCommand({ ...target, Metadata }), { abortSignal });
  });
  return { ...target, UploadId };
}

interface NumberedPart {
  readonly number: number;
  readonly part: Buffer;
  readonly abortSignal: AbortSignal;
}

async function sendPart(
  place: S3Place,
  target: Target,
  { number, part, abortSignal }: NumberedPart,
): Promise<string | undefined> {
  const { ETag } = await request(place, target.Key, abortSignal, ({ client, sdk }) => {
    const command = new sdk.UploadPartCommand({ ...target, PartNumber: number, Body: part });
    return client.send(command, { abortSignal });
  });
  return ETag;
}

interface Checksum {
  readonly key: string;
  readonly checksumKey: string;
  readonly sha256: string;
  readonly abortSignal: AbortSignal;
}

async function keepChecksum(place: S3Place, { key, checksumKey, sha256, abortSignal }: Checksum): Promise<void> {
  await request(place, key, abortSignal, ({ client, sdk, bucket }) => {
    const command = new sdk.PutObjectCommand({ Bucket: bucket, Key: checksumKey, Body: `${sha256}\n` });
    return client.send(command, { abortSignal });
  });
}

interface Completion {
  readonly list: { PartNumber: number; ETag: string | undefined }[];
  readonly checksumKey: string;
  readonly abortSignal: AbortSignal;
}

/** Where the answer was lost the upload may be complete all the same, and a second request finds none: so we look. */
async function complete(place: S3Place, target: Target, { list, checksumKey, abortSignal }: Completion): Promise<void> {
  try {
    await request(place, target.Key, abortSignal, ({ client, sdk }) => {
      const command = new sdk.CompleteMultipartUploadCommand({ ...target, MultipartUpload: { Parts: list } });
      return client.send(command, { abortSignal });
    });
  } catch (error) {
    if (abortSignal.aborted || !(await isOurs(place, target.Key, checksumKey, abortSignal))) throw error;
  }
}

async function abandon(place: S3Place, target: Target, checksumKey: string): Promise<void> {
  const { client, sdk, bucket } = place;
  const abortSignal = AbortSignal.timeout(CLEAN_UP_MS);
  try {
    await client.send(new sdk.AbortMultipartUploadCommand(target), { abortSignal }).catch(() => undefined);
    if (await isOurs(place, target.Key, checksumKey, abortSignal)) return;
    await client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: checksumKey }), { abortSignal });
  } catch {
    // the failure that led here is the one to tell
  }
}

async function isOurs(place: S3Place, key: string, checksumKey: string, signal: AbortSignal): Promise<boolean> {
  const found = await headObject(place, key, signal).catch(() => null);
  return found?.checksumKey === checksumKey;
}

/** Full parts, and a last one of what is left. */
async function* inParts(
  content: AsyncIterable<Uint8Array>,
  partBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let part = Buffer.allocUnsafeSlow(partBytes);
  let used = 0;
  for await (const bytes of content) {
    let rest = bytes;
    while (rest.length > 0) {
      const taken = rest.subarray(0, partBytes - used);
      part.set(taken, used);
      used += taken.length;
      rest = rest.subarray(taken.length);
      if (used < partBytes) continue;
      yield part;
      part = Buffer.allocUnsafeSlow(partBytes);
      used = 0;
    }
  }
  if (used > 0) yield part.subarray(0, used);
}

async function request<T>(
  place: S3Place,
  key: string,
  signal: AbortSignal | undefined,
  send: (place: S3Place, signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  try {
    return await send(place, signal);
  } catch (error) {
    throw s3Error(error, { work: `writing ${nameOf(place, key)}`, signal });
  }
}

function nameOf({ bucket }: S3Place, key: string): string {
  return `s3://${bucket}/${key}`;
}

function tooLarge(name: string, partBytes: number): ManageDbError {
  return new ManageDbError(
    'STORAGE_FAILED',
    `${name} has more than ${MOST_PARTS} parts of ${partBytes} bytes. Nothing was stored.`,
    {
      hint: 'Say about how large it will be (expectedBytes), or use larger parts (partBytes).',
    },
  );
}
