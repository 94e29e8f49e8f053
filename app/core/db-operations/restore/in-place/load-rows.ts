import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { isServerError } from '../../../../services/database-errors.js';
import { ManageDbError } from '../../../errors.js';
import type { OperationControls } from '../../../progress.js';
import { type DumpPiece, dumpPieces } from '../../backup/dump/dump-pieces.js';
import type { Entry } from '../../database-state/contents.js';
import { underSearchPath } from '../../database-state/search-path.js';
import type { Archive } from './archive.js';

export interface RowsToLoad {
  readonly entries: readonly Entry[];
  /** What functions of indexes, constraints and generated columns find things by. */
  readonly searchPath: string;
  readonly controls: OperationControls;
}

/**
 * Copies the rows of these entries from the archive into their tables, in the transaction of `client`: as they come, never
 * more than a chunk in memory.
 *
 * @throws the server's error, ManageDbError `CLIENT_TOOL_FAILED`, `INTERRUPTED`
 */
export async function loadRows(
  client: Client,
  archive: Archive,
  { entries, searchPath, controls }: RowsToLoad,
): Promise<void> {
  if (entries.length === 0) return;
  const written = new PassThrough();
  let done = 0;
  const onTable = (statement: string) => {
    const table = /^COPY (.*?)(?: \(.*\) | +)FROM stdin;$/s.exec(statement)?.[1] ?? '';
    controls.onProgress?.({ step: `restoring ${table}`, done, total: entries.length, isDetail: true });
    done++;
  };
  const stop = new AbortController();
  const signal = controls.signal === undefined ? stop.signal : AbortSignal.any([controls.signal, stop.signal]);
  const [copied, read] = await Promise.allSettled([
    underSearchPath(client, searchPath, () => copyAll(client, written, onTable)).catch((error: unknown) => {
      stop.abort();
      written.destroy();
      throw error;
    }),
    archive.writeRows(entries, written, signal).catch((error: unknown) => {
      written.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }),
  ]);
  // the one that failed first has stopped the other one
  if (copied.status === 'rejected' && isServerError(copied.reason)) throw copied.reason;
  if (read.status === 'rejected' && !isInterruption(read.reason)) throw read.reason;
  if (copied.status === 'rejected') throw copied.reason;
  if (read.status === 'rejected') throw read.reason;
  if (done !== entries.length)
    throw new Error(`pg_restore has written the rows of ${done} tables, not ${entries.length}.`);
}

function isInterruption(error: unknown): boolean {
  return error instanceof ManageDbError && error.code === 'INTERRUPTED';
}

/** What pg_restore writes between the rows of two tables. */
const BETWEEN =
  /^(?:--.*|SET \w+ = .*;|SELECT pg_catalog\.set_config\('search_path', '', false\);|\\(?:un)?restrict \w+|)$/;

async function copyAll(client: Client, written: Readable, onTable: (statement: string) => void): Promise<void> {
  const { from } = await import('pg-copy-streams');
  const pieces = dumpPieces(written as AsyncIterable<Buffer>);
  for await (const { kind, bytes, ...more } of pieces) {
    const statement = 'statement' in more ? more.statement : null;
    if (kind === 'line' && !BETWEEN.test(bytes.toString().trimEnd()))
      throw new Error(`pg_restore has written what is no row: ${bytes.toString().trimEnd()}`);
    if (statement === null) continue;
    onTable(statement);
    await pipeline(rowsOf(pieces), client.query(from(statement)));
  }
}

/** Up to the end of these rows: what comes then is left in `pieces`. */
async function* rowsOf(pieces: AsyncGenerator<DumpPiece>): AsyncGenerator<Buffer> {
  for (;;) {
    const { value, done } = await pieces.next();
    if (done || value.kind === 'line') throw new Error('pg_restore has not written the end of the rows.');
    if (value.kind === 'end') return;
    yield value.bytes;
  }
}
