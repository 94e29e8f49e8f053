import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf, ManageDbError, messageOf } from '../../../errors.js';
import { stopIfAborted } from '../../../progress.js';
import { isBackupId } from '../../manifest/backup-id.js';
import { readManifestFile } from '../../manifest/manifest.js';
import { readVerification } from '../verification.js';
import { filesBelow } from './backup-files.js';
import { PARTIAL_SUFFIX } from './backup-folder.js';
import { type BackupSummary, summaryOf } from './summary.js';
import { workerOf } from './work-mark.js';

/** The backups of one environment, in no order. */
export async function backupsOf(
  backupsDir: string,
  environment: string,
  signal?: AbortSignal,
): Promise<BackupSummary[]> {
  stopIfAborted(signal);
  const parent = join(backupsDir, environment);
  const names = await foldersIn(parent);
  const summaries = await Promise.all(names.map((name) => summarize(parent, environment, name)));
  stopIfAborted(signal);
  return summaries.filter((summary) => summary !== null);
}

/** `null` for a folder that is no backup, and for one that has gone meanwhile. */
async function summarize(parent: string, environment: string, name: string): Promise<BackupSummary | null> {
  const isPartial = name.endsWith(PARTIAL_SUFFIX);
  const id = isPartial ? name.slice(0, -PARTIAL_SUFFIX.length) : name;
  if (!isBackupId(id)) return null;
  const path = join(parent, name);
  const sizes = await sizesBelow(path).catch((error: unknown) => codeOf(error) ?? 'unknown');
  if (sizes === 'ENOENT') return null;
  const isReadable = typeof sizes !== 'string';
  return summaryOf({
    id,
    environment,
    path,
    sizes: isReadable ? sizes : null,
    worker: isPartial && isReadable ? await workerOf(path) : null,
    manifest: isPartial ? null : await readManifestFile(path, { id, environment }).catch(() => null),
    verification: isPartial ? null : await readVerification(path),
  });
}

async function sizesBelow(folder: string): Promise<Map<string, number>> {
  const paths = await filesBelow(folder);
  return new Map(await Promise.all(paths.map(async (path) => [path, (await stat(join(folder, path))).size] as const)));
}

/** Links are not followed: a backup is what lies here. */
export async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return [];
    throw new ManageDbError('UNREADABLE_FILE', `${folder} cannot be read: ${messageOf(error)}.`, {
      hint: `Check its permissions: ls -ld ${folder}`,
      cause: error,
    });
  });
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map((entry) => entry.name);
}
