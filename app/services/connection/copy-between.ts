import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';

export interface CopyEnd {
  readonly client: Client;
  /** `copy … to stdout` at the source, `copy … from stdin` at the target. */
  readonly statement: string;
}

export interface CopyInEnd extends CopyEnd {
  /** Whether triggers take part in it, which may swallow rows. */
  readonly maySwallow?: boolean;
}

export interface CopiedRows {
  readonly rows: number;
  readonly bytes: number;
}

/** Which side of a copy has failed first, and why; what came of it on the other side is of no interest. */
export class CopyFailure extends Error {
  override readonly name = 'CopyFailure';

  constructor(
    readonly side: 'source' | 'target',
    override readonly cause: unknown,
  ) {
    super(`The ${side} of a copy has failed.`, { cause });
  }
}

/**
 * Lets rows flow from one server to another, as they come: what the target does not take, the source does not send, and no
 * more than a few chunks are in memory. Nothing is committed.
 *
 * After a failure the session of the source is of no use any more; that of the target is in a failed transaction.
 *
 * @throws CopyFailure
 */
export async function copyBetween(source: CopyEnd, target: CopyInEnd): Promise<CopiedRows> {
  const out = copyTo(source.statement, { highWaterMark: CHUNK });
  const into = copyFrom(target.statement, { highWaterMark: CHUNK });
  const before = sentBytes(target.client);
  giveUpSilently(into);
  // the one that fails first takes the other one with it, and does not wait for it: its connection may be gone
  const failed = new Promise<never>((_, reject) => {
    out.once('error', (error) => reject(new CopyFailure('source', error)));
    into.once('error', (error) => reject(new CopyFailure('target', error)));
  });
  failed.catch(() => undefined);
  source.client.query(out);
  target.client.query(into);
  const flowing = pipeline(out, into);
  flowing.catch(() => undefined);
  await Promise.race([failed, flowing]);
  if (out.rowCount !== into.rowCount && target.maySwallow !== true)
    throw new CopyFailure('target', new Error(`${into.rowCount} rows have arrived of ${out.rowCount}.`));
  return { rows: into.rowCount, bytes: sentBytes(target.client) - before };
}

/**
 * The target is told why no more rows come, and writes that into its log. What has failed at the source may quote a value that
 * is not to come there.
 */
function giveUpSilently(into: Writable): void {
  const destroy = into._destroy.bind(into);
  into._destroy = (error, callback) => destroy(error === null ? null : new Error('No more rows come.'), callback);
}

const CHUNK = 1 << 16;

/** What a session has sent since it was opened: what is just being copied is a part of it. */
export function sentBytes(client: Client): number {
  return (client as unknown as { readonly connection: { readonly stream: Socket } }).connection.stream.bytesWritten;
}
