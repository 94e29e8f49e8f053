import type { Readable } from 'node:stream';
import { filterPlainDump } from '../backup/dump/plain-dump-filter.js';

/** The first statement of what pg_restore writes with --single-transaction, and the last. */
const BEGIN = 'BEGIN;';
const COMMIT = Buffer.from('\nCOMMIT;\n');

/** What pg_restore writes after its COMMIT. */
const TRAILER = /^\nCOMMIT;\n(?:\n|--\n|-- PostgreSQL database dump complete\n|\\unrestrict \w+\n)*$/;
const LONGEST_TRAILER = 1000;

export interface RestoreScript {
  /** A statement that the server does not know, before the first object. */
  readonly unknownStatement: string | null;
  /** As {@link filterPlainDump} takes it. */
  readonly searchPath?: string | null;
}

/**
 * What `pg_restore --single-transaction --file=-` writes, without its BEGIN and COMMIT: it goes into a transaction of
 * somebody else's, who commits it when more has been done. A COMMIT in the body of a procedure stays.
 */
export async function* withoutTransaction(written: Readable, script: RestoreScript): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  let isBegun = false;
  for await (const chunk of filterPlainDump(written, script)) {
    if (!isBegun && chunk.toString('latin1').trim() === BEGIN) {
      isBegun = true;
      continue;
    }
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    // what may be the end is held back until it is known whether it is
    const place = held.lastIndexOf(COMMIT);
    const mayEnd =
      place !== -1 && held.length - place < LONGEST_TRAILER ? place : Math.max(0, held.length - COMMIT.length);
    if (mayEnd > 0) yield held.subarray(0, mayEnd);
    held = held.subarray(mayEnd);
  }
  const end = held.toString('latin1');
  if (!TRAILER.test(end.startsWith('\n') ? end : `\n${end}`)) {
    throw new Error('pg_restore has not written its COMMIT at the end.');
  }
  const unrestrict = /\\unrestrict \w+\n/.exec(end)?.[0];
  if (unrestrict !== undefined) yield Buffer.from(unrestrict);
}

/** Gathers what comes line by line: a large object is five lines, and each of them would be a write of its own. */
export async function* inLargeChunks(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let gathered: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    gathered.push(chunk);
    bytes += chunk.length;
    if (bytes < LARGE) continue;
    yield Buffer.concat(gathered);
    gathered = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(gathered);
}

const LARGE = 64 * 1024;
