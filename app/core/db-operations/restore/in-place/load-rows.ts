import { PassThrough, type Readable } from 'node:stream';
import type { Client } from 'pg';
import { beginCopy, type CopyIn } from '../../../../services/connection/copy-in.js';
import { isServerError } from '../../../../services/database-errors.js';
import { ManageDbError } from '../../../errors.js';
import type { OperationControls } from '../../../progress.js';
import type { Entry } from '../../backup/contents.js';
import { underSearchPath } from '../../backup/search-path.js';
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
    const table = /^COPY (.*?)(?: \(.*\) | +)FROM stdin;$/.exec(statement)?.[1] ?? '';
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

const NEWLINE = 0x0a;
const BEGIN_OF_ROWS = /^COPY .* FROM stdin;$/;
const END_OF_ROWS = Buffer.from('\n\\.\n');

/** What pg_restore writes between the rows of two tables. */
const BETWEEN =
  /^(?:--.*|SET \w+ = .*;|SELECT pg_catalog\.set_config\('search_path', '', false\);|\\(?:un)?restrict \w+|)$/;

async function copyAll(client: Client, written: Readable, onTable: (statement: string) => void): Promise<void> {
  let data: Buffer = Buffer.alloc(0);
  let copy: CopyIn | null = null;
  let isFirst = false;
  for await (const chunk of written as AsyncIterable<Buffer>) {
    data = data.length === 0 ? chunk : Buffer.concat([data, chunk]);
    for (;;) {
      if (copy !== null) {
        const end = data.indexOf(END_OF_ROWS);
        // the end of the rows may begin with the last bytes
        const length = end === -1 ? Math.max(0, data.length - END_OF_ROWS.length + 1) : end + 1;
        // the newline of the statement is no row
        if (length > (isFirst ? 1 : 0)) await copy.write(data.subarray(isFirst ? 1 : 0, length));
        if (length > 0) isFirst = false;
        data = data.subarray(end === -1 ? length : end + END_OF_ROWS.length);
        if (end === -1) break;
        await copy.end();
        copy = null;
      }
      const newline = data.indexOf(NEWLINE);
      if (newline === -1) break;
      const line = data.toString('utf8', 0, newline);
      const begins = BEGIN_OF_ROWS.test(line);
      if (!begins && !BETWEEN.test(line)) throw new Error(`pg_restore has written what is no row: ${line}`);
      if (begins) {
        onTable(line);
        copy = await beginCopy(client, line);
        isFirst = true;
      }
      // the end is looked for from the newline of the statement on: there may be no rows at all
      data = data.subarray(begins ? newline : newline + 1);
    }
  }
  if (copy !== null) throw new Error('pg_restore has not written the end of the rows.');
}
