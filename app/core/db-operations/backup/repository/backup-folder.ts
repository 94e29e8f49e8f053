import { rmSync } from 'node:fs';
import { chmod, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import type { BackupStorage } from '../../../../services/storage.js';
import { onUntimelyEnd } from '../../../../services/untimely-end.js';
import { codeOf, ManageDbError, messageOf } from '../../../errors.js';
import { makeFolder } from '../../../files.js';
import { newBackupId } from '../../manifest/backup-id.js';
import {
  MANIFEST_CHECKSUM_FILE,
  MANIFEST_FILE,
  type Manifest,
  manifestChecksumText,
  manifestText,
} from '../../manifest/manifest.js';
import { VERIFICATION_FILE, type Verification, verificationText, writeVerification } from '../verification.js';
import { syncFolder } from './backup-files.js';
import { prefixOfBackup, removeStoredBackup } from './stored-backup.js';
import { MARK_FILE, markWork, unmarkWork, workMark } from './work-mark.js';

export const PARTIAL_SUFFIX = '.partial';

export interface NewBackup {
  readonly backupsDir: string;
  readonly environment: string;
  readonly label: string | null;
  readonly at: Date;
}

/** The two steps of making a backup. Either may fail; nothing is left of it then. */
export interface Making {
  /** Puts a dump into the folder, or elsewhere, and returns what the backup is. */
  readonly fill: (folder: string, id: string) => Promise<Manifest>;
  /** Shows that what is complete by then is any good, and returns the record of that; `null`: nobody has looked. */
  readonly prove: (folder: string, manifest: Manifest) => Promise<Verification | null>;
}

/**
 * Completes what `fill` has put into a new folder with the manifest that it returns: until then the folder is called
 * `<id>.partial`, and nothing takes it for a backup.
 *
 * @throws ManageDbError `UNREADABLE_FILE` when no folder can be made
 */
export function makeBackup(backup: NewBackup, { fill, prove }: Making): Promise<{ path: string; manifest: Manifest }> {
  return inPartial(backup, async (partial, { id, path }) => {
    const manifest = await fill(partial, id);
    await writeManifest(partial, manifest);
    const verification = await prove(partial, manifest);
    if (verification !== null) writeVerification(partial, verification);
    await syncEverything(partial);
    await rename(partial, path);
    await syncFolder(dirname(path));
    // only now: a partial without a mark would be nobody's
    await unmarkWork(path);
    return { path, manifest };
  });
}

/**
 * As {@link makeBackup}, in a storage. The folder that `fill` gets is for what cannot be written there at once, and is gone
 * afterwards. What lies in the storage is a backup as soon as its manifest is there, which is written last.
 *
 * @param onLeft called when it has failed, and what was stored until then could not be removed
 */
export function makeStoredBackup(
  backup: NewBackup,
  { fill, prove, storage, onLeft }: Making & { readonly storage: BackupStorage; readonly onLeft: () => void },
): Promise<{ path: string; manifest: Manifest }> {
  return inPartial(backup, async (partial, { id }) => {
    const prefix = prefixOfBackup(backup.environment, id);
    const store = (name: string, text: string) => storage.write(`${prefix}${name}`, Readable.from([Buffer.from(text)]));
    try {
      await store(MARK_FILE, workMark());
      const manifest = await fill(partial, id);
      const text = manifestText(manifest);
      const verification = await prove(partial, manifest);
      if (verification !== null) await store(VERIFICATION_FILE, verificationText(verification));
      await store(MANIFEST_CHECKSUM_FILE, manifestChecksumText(text));
      await store(MANIFEST_FILE, text);
      // it is complete; what still lies beside it hurts nobody
      await Promise.all([
        storage.remove(`${prefix}${MARK_FILE}`).catch(() => undefined),
        rm(partial, { recursive: true, force: true }).catch(() => undefined),
      ]);
      return { path: `${storage.location}/${prefix.slice(0, -1)}`, manifest };
    } catch (error) {
      await removeStoredBackup(storage, prefix).catch(onLeft);
      throw error;
    }
  });
}

async function inPartial<T>(backup: NewBackup, make: (partial: string, reserved: Reserved) => Promise<T>): Promise<T> {
  const reserved = await reserve(backup);
  const partial = `${reserved.path}${PARTIAL_SUFFIX}`;
  const forget = onUntimelyEnd(() =>
    // pg_dump has been told to end, and may still be writing for a moment
    rmSync(partial, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }),
  );
  try {
    await markWork(partial);
    return await make(partial, reserved);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  } finally {
    forget();
  }
}

interface Reserved {
  readonly id: string;
  readonly path: string;
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
async function reserve({ backupsDir, environment, label, at }: NewBackup): Promise<Reserved> {
  const parent = join(backupsDir, environment);
  try {
    makeFolder(parent);
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
    throw new ManageDbError('UNREADABLE_FILE', `No backup can be written to ${parent}: ${messageOf(error)}.`, {
      hint: 'Check that the folder can be written to, or name another one (backupsDir in the configuration).',
      cause: error,
    });
  }
}

async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  const text = manifestText(manifest);
  await writeSynced(join(folder, MANIFEST_CHECKSUM_FILE), manifestChecksumText(text));
  await writeSynced(join(folder, MANIFEST_FILE), text);
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
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
