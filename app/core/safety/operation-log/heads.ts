import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Queryable } from '../../../database/queryable.js';
import { type LogHead, readHead } from '../../../database/records/operation-log.js';
import { codeOf } from '../../errors.js';
import { writeFileAtomically } from '../../files.js';
import { STATE_FOLDER, workspaceRoot } from '../../workspace-root.js';

/**
 * Remembers the head of the log of `db` in the workspace, outside the reach of whoever can change the database. An older
 * head never takes the place of a newer one.
 */
export async function mirrorHead(db: Queryable): Promise<void> {
  const head = await readHead(db);
  if (head === null) return;
  const known = readMirror(head);
  if (known !== null && known.id >= head.id) return;
  writeFileAtomically(mirrorFile(head), `${JSON.stringify(head)}\n`);
}

/** The head that this workspace remembers of a log, or `null`. */
export function readMirror(log: Pick<LogHead, 'systemIdentifier' | 'databaseOid'>): LogHead | null {
  try {
    const head = JSON.parse(readFileSync(mirrorFile(log), 'utf8')) as Partial<LogHead>;
    const { systemIdentifier, databaseOid, id, hash } = head;
    if (typeof id !== 'number' || typeof hash !== 'string') return null;
    return systemIdentifier === log.systemIdentifier && databaseOid === log.databaseOid ? (head as LogHead) : null;
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** By fingerprint: a renamed database keeps its log. */
function mirrorFile({ systemIdentifier, databaseOid }: Pick<LogHead, 'systemIdentifier' | 'databaseOid'>): string {
  return join(workspaceRoot(), STATE_FOLDER, 'operation-log', 'heads', `${systemIdentifier}-${databaseOid}.json`);
}
