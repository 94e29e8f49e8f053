import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Queryable } from '../../../database/queryable.js';
import { inTransaction } from '../../../services/in-transaction.js';
import { readSqlFile, runSqlFile } from '../../../services/sql-script.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import { takeAdvisoryLock } from '../advisory-lock.js';

export interface SeedResult {
  readonly files: readonly string[];
  /** Rows inserted now; 0 when they were all there. */
  readonly rows: number;
}

/**
 * Executes the seed files of `folder` by name, all in one transaction. The files themselves make sure that a second run
 * inserts nothing. `null` when there is no such folder.
 *
 * @throws ManageDbError `SQL_FAILED` with file, line and column, `LOCK_TIMEOUT`
 */
export async function applySeed(
  client: Queryable,
  folder: string,
  { onProgress, signal }: OperationControls = {},
): Promise<SeedResult | null> {
  if (!existsSync(folder)) return null;
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort()
    .map((file) => join(folder, file));
  const rows = await inTransaction(client, async () => {
    await takeAdvisoryLock(client, 'migrations', { timeoutMs: 600_000, signal });
    let inserted = 0;
    for (const [done, path] of files.entries()) {
      stopIfAborted(signal);
      onProgress?.({ step: `seeding ${basename(path)}`, done, total: files.length });
      inserted += await runSqlFile(client, { path, sql: readSqlFile(path), firstLine: 1 });
    }
    return inserted;
  });
  // without statistics the first queries on the new rows are planned blindly
  if (rows > 0) await client.query('analyze');
  return { files: files.map((path) => basename(path)), rows };
}
