import type { HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { isMissing, s3Error } from './s3-errors.js';

/** A bucket, and how to talk to it. */
export interface S3Place {
  readonly client: S3Client;
  readonly sdk: typeof import('@aws-sdk/client-s3');
  readonly bucket: string;
  readonly location: string;
  readonly attempts: number;
  readonly idleMs: number;
  readonly partBytes: number;
}

/** An object as S3 calls it: with the prefix in its key. */
export interface S3Object {
  readonly sizeBytes: number;
  readonly modifiedAt: string;
  readonly etag: string | undefined;
  readonly sha256: string | null;
  /** The key of the object that holds its checksum, where that came too late for its own metadata. */
  readonly checksumKey: string | null;
}

/** Metadata of ours: the checksum, or the name of the object that holds it. */
const SHA256 = 'manage-db-sha256';
const CHECKSUM_NAME = 'manage-db-checksum';

export function sha256Metadata(sha256: string): Record<string, string> {
  return { [SHA256]: sha256 };
}

export function checksumMetadata(checksumKey: string): Record<string, string> {
  return { [CHECKSUM_NAME]: checksumKey };
}

/** An object, or `null`; `key` with the prefix. */
export async function headObject(
  place: S3Place,
  key: string,
  signal: AbortSignal | undefined,
): Promise<S3Object | null> {
  const { client, sdk, bucket, location } = place;
  try {
    const command = new sdk.HeadObjectCommand({ Bucket: bucket, Key: key });
    return objectOf(await client.send(command, { abortSignal: signal }));
  } catch (error) {
    if (isMissing(error)) return null;
    throw s3Error(error, { work: `looking for ${key} in ${location}`, signal });
  }
}

type Described = Pick<HeadObjectCommandOutput, 'ContentLength' | 'LastModified' | 'ETag' | 'Metadata'>;

export function objectOf({ ContentLength = 0, LastModified, ETag, Metadata = {} }: Described): S3Object {
  return {
    sizeBytes: ContentLength,
    modifiedAt: (LastModified ?? new Date(0)).toISOString(),
    etag: ETag,
    sha256: Metadata[SHA256] ?? null,
    checksumKey: Metadata[CHECKSUM_NAME] ?? null,
  };
}

/** The SHA-256 that was kept with an object, or `null` where it was not written by us. */
export async function checksumOf(
  { client, sdk, bucket, location }: S3Place,
  { sha256, checksumKey }: S3Object,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  if (sha256 !== null || checksumKey === null) return sha256;
  try {
    const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: checksumKey });
    const { Body } = await client.send(command, { abortSignal: signal });
    return (await Body?.transformToString())?.trim() ?? null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw s3Error(error, { work: `reading ${checksumKey} from ${location}`, signal });
  }
}
