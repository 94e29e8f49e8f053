import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Queryable } from '../../../database/queryable.js';
import { readObservation } from '../../../database/records/observation.js';
import { type LogHead, readHead } from '../../../database/records/operation-log.js';
import { readHash } from '../../../database/records/operation-log-chain.js';
import { writeFileAtomically } from '../../files.js';
import * as z from '../../schema.js';
import { folderOf, namesIn, readOwn } from './own-files.js';

/** Which log it is. By fingerprint: a renamed database keeps its log. */
type LogIdentity = Pick<LogHead, 'systemIdentifier' | 'databaseOid'>;

/**
 * Remembers the head of the log of `db` in the workspace, outside the reach of whoever can change the database. A head
 * that the log does not lead up to any more is evidence, and stays.
 */
export async function mirrorHead(db: Queryable): Promise<void> {
  const head = await readHead(db);
  if (head === null) return;
  const known = readMirror(head);
  if (known !== null && (known.id >= head.id || (await readHash(db, known.id)) !== known.hash)) return;
  remember(head);
}

/** Remembers of the log of `to` what is remembered of that of `from`, whose place it takes. */
export async function inheritMirror(from: Queryable, to: Queryable): Promise<void> {
  const known = readMirror(await readObservation(from));
  if (known === null) return;
  const { systemIdentifier, databaseOid } = await readObservation(to);
  remember({ ...known, systemIdentifier, databaseOid });
}

/** The head that this workspace remembers of a log, or `null`. */
export function readMirror(log: LogIdentity): LogHead | null {
  for (const file of mirrorFiles(log).reverse()) {
    const head = readOwn(file, HEAD);
    if (head?.systemIdentifier === log.systemIdentifier && head.databaseOid === log.databaseOid) return head;
  }
  return null;
}

/** A file for each head: of two processes that remember theirs at once, the newer one stays. */
function remember(head: LogHead): void {
  const name = `${prefixOf(head)}${String(head.id).padStart(12, '0')}.json`;
  writeFileAtomically(join(folderOf('heads'), name), `${JSON.stringify(head)}\n`);
  for (const file of mirrorFiles(head)) if (file < join(folderOf('heads'), name)) rmSync(file, { force: true });
}

/** The oldest first. */
function mirrorFiles(log: LogIdentity): string[] {
  return namesIn(folderOf('heads'))
    .filter((name) => name.startsWith(prefixOf(log)))
    .map((name) => join(folderOf('heads'), name));
}

const HEAD = z.object({
  systemIdentifier: z.string(),
  databaseOid: z.number(),
  id: z.int().check(z.positive()),
  hash: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
});

function prefixOf({ systemIdentifier, databaseOid }: LogIdentity): string {
  return `${systemIdentifier}-${databaseOid}-`;
}
