import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { onUntimelyEnd } from '../../../services/untimely-end.js';
import { markWork, workerOf } from './work-mark.js';

/** A name that no environment has. */
const PREFIX = '.work-';

/**
 * Gives `work` a folder of its own beside the backups, which is gone afterwards: what lies there for a while may be as
 * large as a backup, and as secret.
 */
export async function withWorkFolder<T>(backupsDir: string, work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(backupsDir, { recursive: true, mode: 0o700 });
  await sweepWorkFolders(backupsDir);
  const folder = await mkdtemp(join(backupsDir, PREFIX));
  const forget = onUntimelyEnd(() => rmSync(folder, { recursive: true, force: true }));
  try {
    await markWork(folder);
    return await work(folder);
  } finally {
    // what cannot be removed now is removed by the next one; the work itself is done
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
    forget();
  }
}

/** Removes the folders of processes that do not live any more. */
export async function sweepWorkFolders(backupsDir: string): Promise<void> {
  const names = await readdir(backupsDir).catch(() => []);
  for (const name of names.filter((one) => one.startsWith(PREFIX))) {
    const folder = join(backupsDir, name);
    if ((await workerOf(folder)) === 'gone') await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}
