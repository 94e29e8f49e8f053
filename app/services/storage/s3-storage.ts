import type { Readable } from 'node:stream';
import { registerSecret } from '../../config/redaction.js';
import { ManageDbError } from '../../core/errors.js';
import { readingFrom } from './content.js';
import { CHECKSUMS, checkedKey } from './key.js';
import { readObject } from './s3-download.js';
import { isMissing, s3Error } from './s3-errors.js';
import { checksumOf, headObject, type S3Place } from './s3-object.js';
import { removeUnfinished } from './s3-unfinished.js';
import { uploadObject } from './s3-upload.js';
import type { BackupStorage, StoredFile, WriteOptions, Written } from './storage.js';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface S3StorageOptions {
  readonly bucket: string;
  /** A path in the bucket below which everything is kept; by default its root. */
  readonly prefix?: string | undefined;
  /** The URL of a server that is not Amazon's: MinIO, Ceph, R2 … */
  readonly endpoint?: string | undefined;
  /** By default `AWS_REGION`, `AWS_DEFAULT_REGION`, or the profile's; `us-east-1` where there is an endpoint. */
  readonly region?: string | undefined;
  /** The bucket in the path of the URL instead of its host; by default where there is an endpoint. */
  readonly pathStyle?: boolean | undefined;
  /** By default what `AWS_ACCESS_KEY_ID` …, `AWS_PROFILE` or the machine's role give. */
  readonly credentials?: S3Credentials | undefined;
  /** How often a request is tried before its failure counts; default 8, with pauses that grow. */
  readonly attempts?: number | undefined;
  /** Milliseconds without a byte after which a connection is given up; default one minute. */
  readonly idleMs?: number | undefined;
  /** Bytes of a part of an upload, 5 MiB at least; default 16 MiB. Up to a dozen of them are in memory. */
  readonly partBytes?: number | undefined;
}

const MIB = 1 << 20;
const SMALLEST_PART = 5 * MIB;
const DEFAULT_PART = 16 * MIB;
const CONNECT_MS = 10_000;

/**
 * Keeps files in a bucket of Amazon S3 or of a server that speaks its protocol. Large files are uploaded in parts as they
 * come; a connection that breaks is taken up again, in both directions.
 *
 * The SHA-256 of every file is kept with it, and compared when it is read. S3 wants metadata before the content: where
 * the checksum is known only at the end, it is an object of its own below `.checksums/`, written before the file
 * becomes visible.
 *
 * @throws ManageDbError `USAGE`
 * @example const storage = await s3Storage({ bucket: 'clinic-backups', prefix: 'db1', endpoint: 'https://minio.clinic.example' });
 */
export async function s3Storage(options: S3StorageOptions): Promise<BackupStorage> {
  const place = await open(options);
  const prefix = prefixOf(options.prefix);
  const keyOf = (key: string): string => prefix + checkedKey(key);
  return {
    location: place.location,
    folder: null,
    list: (keys, { signal } = {}) => list(place, { prefix, keys, signal }),
    head: async (key, { signal } = {}) => {
      const found = await headObject(place, keyOf(key), signal);
      if (found === null) return null;
      const sha256 = await checksumOf(place, found, signal);
      return { key, sizeBytes: found.sizeBytes, modifiedAt: found.modifiedAt, sha256 };
    },
    read: async (key, readOptions = {}) => readObject(place, keyOf(key), readOptions),
    write: async (key, content, writeOptions = {}) => write(place, { key: keyOf(key), prefix, content }, writeOptions),
    remove: async (key, { signal } = {}) => remove(place, keyOf(key), signal),
    removeUnfinished: (olderThan, { signal } = {}) => removeUnfinished(place, { prefix, olderThan, signal }),
    close: () => place.client.destroy(),
  };
}

async function open(options: S3StorageOptions): Promise<S3Place> {
  const { bucket, endpoint, credentials, attempts = 8, idleMs = 60_000, partBytes = DEFAULT_PART } = options;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{1,62}$/.test(bucket)) {
    throw new ManageDbError('USAGE', `${JSON.stringify(bucket)} is no name of a bucket.`);
  }
  if (endpoint !== undefined && !(/^https?:\/\//i.test(endpoint) && URL.canParse(endpoint))) {
    throw new ManageDbError('USAGE', 'The endpoint of the storage must be a URL that begins with https:// or http://.');
  }
  if (partBytes < SMALLEST_PART) throw new ManageDbError('USAGE', `A part has ${SMALLEST_PART} bytes at least.`);
  if (credentials !== undefined) {
    registerSecret(credentials.secretAccessKey);
    if (credentials.sessionToken !== undefined) registerSecret(credentials.sessionToken);
  }
  // the SDK's versions of 2027 want a newer Node; ours is pinned to one that does not
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
  const sdk = await import('@aws-sdk/client-s3');
  const region =
    options.region ||
    process.env.AWS_REGION ||
    process.env.AWS_DEFAULT_REGION ||
    (endpoint && 'us-east-1') ||
    undefined;
  const client = new sdk.S3Client({
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? { followRegionRedirects: true } : { endpoint }),
    ...(credentials === undefined ? {} : { credentials: given(credentials) }),
    forcePathStyle: options.pathStyle ?? endpoint !== undefined,
    maxAttempts: attempts,
    requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: idleMs },
    // newer checksums of the SDK's own, which many servers refuse; every part is signed with its SHA-256 anyway
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const location = `s3://${bucket}/${prefixOf(options.prefix)}`.replace(/\/$/, '');
  return { client, sdk, bucket, location, attempts, idleMs, partBytes };
}

function given({ accessKeyId, secretAccessKey, sessionToken }: S3Credentials) {
  return { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
}

function prefixOf(prefix = ''): string {
  const names = prefix.split('/').filter((name) => name !== '');
  return names.length === 0 ? '' : `${checkedKey(names.join('/'))}/`;
}

interface Listing {
  readonly prefix: string;
  readonly keys: string;
  readonly signal: AbortSignal | undefined;
}

async function list(place: S3Place, { prefix, keys, signal }: Listing): Promise<StoredFile[]> {
  const { client, sdk, bucket } = place;
  const files: StoredFile[] = [];
  let token: string | undefined;
  do {
    const command = new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: prefix + keys, ContinuationToken: token });
    const page = await client.send(command, { abortSignal: signal }).catch((error: unknown) => {
      throw s3Error(error, { work: `listing ${place.location}`, signal });
    });
    for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
      const key = Key.slice(prefix.length);
      // folders that consoles make
      if (key === '' || key.endsWith('/') || key.startsWith(CHECKSUMS)) continue;
      files.push({ key, sizeBytes: Size, modifiedAt: (LastModified ?? new Date(0)).toISOString() });
    }
    token = page.NextContinuationToken;
  } while (token !== undefined);
  return files.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

interface Writing {
  /** With the prefix. */
  readonly key: string;
  readonly prefix: string;
  readonly content: Readable;
}

async function write(place: S3Place, { key, prefix, content }: Writing, options: WriteOptions): Promise<Written> {
  const reading = readingFrom(content, options.signal);
  try {
    const before = await headObject(place, key, options.signal).catch((error: unknown) => {
      if (error instanceof ManageDbError && error.code === 'PERMISSION_DENIED') return null;
      throw error;
    });
    const written = await uploadObject(place, { key, checksums: prefix + CHECKSUMS, reading }, options);
    if (before?.checksumKey) await removeKey(place, before.checksumKey, undefined);
    return written;
  } finally {
    reading.destroy();
  }
}

async function remove(place: S3Place, key: string, signal: AbortSignal | undefined): Promise<void> {
  const found = await headObject(place, key, signal);
  if (found === null) return;
  await removeKey(place, key, signal);
  if (found.checksumKey !== null) await removeKey(place, found.checksumKey, signal);
}

async function removeKey(
  { client, sdk, bucket, location }: S3Place,
  key: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await client.send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: signal });
  } catch (error) {
    if (!isMissing(error)) throw s3Error(error, { work: `removing ${key} from ${location}`, signal });
  }
}
