import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Queryable } from '../../../database/queryable.js';
import { readObservation } from '../../../database/records/observation.js';
import { type LogHead, readHead } from '../../../database/records/operation-log.js';
import { readHash } from '../../../database/records/operation-log-chain.js';
import { codeOf } from '../../errors.js';
import { writeFileAtomically } from '../../files.js';
import * as z from '../../schema.js';
import { STATE_FOLDER, workspaceRoot } from '../../workspace-root.js';

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
    const head = readHeadIn(file);
    if (head?.systemIdentifier === log.systemIdentifier && head.databaseOid === log.databaseOid) return head;
  }
  return null;
}

/** A file for each head: of two processes that remember theirs at once, the newer one stays. */
function remember(head: LogHead): void {
  const name = `${prefixOf(head)}${String(head.id).padStart(12, '0')}.json`;
  writeFileAtomically(join(mirrorFolder(), name), `${JSON.stringify(head)}\n`);
  for (const file of mirrorFiles(head)) if (file < join(mirrorFolder(), name)) rmSync(file, { force: true });
}

/** The oldest first. */
function mirrorFiles(log: LogIdentity): string[] {
  try {
    return readdirSync(mirrorFolder())
      .filter((name) => name.startsWith(prefixOf(log)) && name.endsWith('.json'))
      .sort()
      .map((name) => join(mirrorFolder(), name));
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

const HEAD = z.object({
  systemIdentifier: z.string(),
  databaseOid: z.number(),
  id: z.int().check(z.positive()),
  hash: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
});

/** `null`: a newer one has just taken its place, or it is not one of ours. */
function readHeadIn(file: string): LogHead | null {
  try {
    return HEAD.safeParse(JSON.parse(readFileSync(file, 'utf8'))).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

function mirrorFolder(): string {
  return join(workspaceRoot(), STATE_FOLDER, 'operation-log', 'heads');
}

function prefixOf({ systemIdentifier, databaseOid }: LogIdentity): string {
  return `${systemIdentifier}-${databaseOid}-`;
}
