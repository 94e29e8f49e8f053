import { rmSync } from 'node:fs';
import { chmod, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { onUntimelyEnd } from '../../../services/untimely-end.js';
import { codeOf, ManageDbError, messageOf } from '../../errors.js';
import { syncFolder } from './backup-files.js';
import { newBackupId } from './backup-id.js';
import { MANIFEST_FILE, type Manifest, manifestText } from './manifest.js';
import { markWork, unmarkWork } from './work-mark.js';

export const PARTIAL_SUFFIX = '.partial';

export interface NewBackup {
  readonly backupsDir: string;
  readonly environment: string;
  readonly label: string | null;
  readonly at: Date;
}

/**
 * Lets `fill` put a dump into a new folder and completes the backup with the manifest that it returns: until then the
 * folder is called `<id>.partial`, and nothing takes it for a backup. It is removed when `fill` fails or is aborted, or
 * when `prove` finds that what is complete by then is no good.
 *
 * @throws ManageDbError `UNREADABLE_FILE` when no folder can be made
 */
export async function makeBackup(
  backup: NewBackup,
  fill: (folder: string, id: string) => Promise<Manifest>,
  prove?: (folder: string, manifest: Manifest) => Promise<void>,
): Promise<{ path: string; manifest: Manifest }> {
  const { id, path } = await reserve(backup);
  const partial = `${path}${PARTIAL_SUFFIX}`;
  const forget = onUntimelyEnd(() =>
    // pg_dump has been told to end, and may still be writing for a moment
    rmSync(partial, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }),
  );
  try {
    await markWork(partial);
    const manifest = await fill(partial, id);
    await writeManifest(partial, manifest);
    await prove?.(partial, manifest);
    await syncEverything(partial);
    await rename(partial, path);
    await syncFolder(dirname(path));
    // only now: a partial without a mark would be nobody's
    await unmarkWork(path);
    return { path, manifest };
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  } finally {
    forget();
  }
}

/**
 * Removes a backup so that, whatever happens in between, it is there as a whole or is no backup: it loses its name first,
 * and what a crash leaves of it is swept like any other partial.
 *
 * @returns `false` when somebody else has removed it meanwhile
 * @throws ManageDbError `UNREADABLE_FILE`
 */
export async function removeBackup(path: string): Promise<boolean> {
  const partial = `${path}${PARTIAL_SUFFIX}`;
  try {
    await markWork(path);
    await rename(path, partial);
    await syncFolder(dirname(path));
    await rm(partial, { recursive: true, force: true });
    await syncFolder(dirname(path));
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw new ManageDbError('UNREADABLE_FILE', `${path} cannot be removed: ${messageOf(error)}.`, {
      hint: `Check the permissions: ls -ld ${dirname(path)}`,
      cause: error,
    });
  }
}

/** Creating the folder is what makes an id ours: two backups of one second cannot both succeed. */
async function reserve({ backupsDir, environment, label, at }: NewBackup): Promise<{ id: string; path: string }> {
  const parent = join(backupsDir, environment);
  try {
    await mkdir(parent, { recursive: true, mode: 0o700 });
    for (;;) {
      const id = newBackupId(at, label);
      try {
        await mkdir(join(parent, `${id}${PARTIAL_SUFFIX}`), { mode: 0o700 });
        return { id, path: join(parent, id) };
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
    }
  } catch (error) {
    throw new ManageDbError(
      'UNREADABLE_FILE',
      `No backup can be written to ${parent}: ${messageOf(error)}. No backup was made.`,
      {
        hint: 'Check that the folder can be written to, or name another one (backupsDir in the configuration).',
        cause: error,
      },
    );
  }
}

async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const file = await open(join(folder, MANIFEST_FILE), 'wx', 0o600);
  try {
    await file.writeFile(manifestText(manifest));
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncEverything(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((one) => one.isDirectory())) {
    const path = join(entry.parentPath, entry.name);
    await chmod(path, 0o700);
    await syncFolder(path);
  }
  await syncFolder(folder);
}
