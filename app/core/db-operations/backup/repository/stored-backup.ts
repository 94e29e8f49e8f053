import { Readable } from 'node:stream';
import pMap from 'p-map';
import type { BackupStorage } from '../../../../services/storage.js';
import { MANIFEST_FILE } from '../../manifest/manifest.js';
import { MARK_FILE, workMark } from './work-mark.js';

/** Requests at the same time where many small files are read or removed. */
export const PARALLEL_REQUESTS = 8;

/** What the keys of a backup begin with. */
export function prefixOfBackup(environment: string, id: string): string {
  return `${environment}/${id}/`;
}

/** Removes everything of a backup, its manifest first: from then on it is none, and what a crash leaves is swept. */
export async function removeStoredBackup(storage: BackupStorage, prefix: string): Promise<boolean> {
  const keys = (await storage.list(prefix)).map(({ key }) => key);
  if (keys.length === 0) return false;
  const [manifest, mark] = [`${prefix}${MANIFEST_FILE}`, `${prefix}${MARK_FILE}`];
  await storage.write(mark, Readable.from([Buffer.from(workMark())]));
  await storage.remove(manifest);
  const others = keys.filter((key) => key !== manifest && key !== mark);
  await pMap(others, (key) => storage.remove(key), { concurrency: PARALLEL_REQUESTS });
  await storage.remove(mark);
  return true;
}
