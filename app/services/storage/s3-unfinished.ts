import { s3Error } from './s3-errors.js';
import type { S3Place } from './s3-object.js';

interface Search {
  readonly prefix: string;
  readonly olderThan: Date;
  readonly signal: AbortSignal | undefined;
}

/** Aborts uploads that were begun before `olderThan` and never completed: nobody sees them, but they are paid for. */
export async function removeUnfinished(place: S3Place, { prefix, olderThan, signal }: Search): Promise<number> {
  const { client, sdk, bucket, location } = place;
  let removed = 0;
  let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
  try {
    for (;;) {
      const command = new sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...marker });
      const page = await client.send(command, { abortSignal: signal });
      for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
        if (Key === undefined || UploadId === undefined || Initiated === undefined || Initiated >= olderThan) continue;
        const abort = new sdk.AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId });
        await client.send(abort, { abortSignal: signal });
        removed += 1;
      }
      if (!page.IsTruncated) return removed;
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
  } catch (error) {
    throw s3Error(error, { work: `removing unfinished uploads from ${location}`, signal });
  }
}
