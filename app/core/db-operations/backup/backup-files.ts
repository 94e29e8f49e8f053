import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ManageDbError } from '../../errors.js';
import type { OperationControls } from '../../progress.js';
import type { Manifest, ManifestFile } from './manifest.js';

/** Every file below `folder` (relative paths, sorted), without the folders. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
}

/** Size and SHA-256 of every file below `folder`; makes each readable by its owner only. */
export async function sealFiles(folder: string, { onProgress, signal }: OperationControls): Promise<ManifestFile[]> {
  const paths = await filesBelow(folder);
  const sealed: ManifestFile[] = [];
  for (const path of paths) {
    onProgress?.({ step: 'computing checksums', done: sealed.length, total: paths.length, isDetail: true });
    await chmod(join(folder, path), 0o600);
    sealed.push(await fingerprint(folder, path, signal));
  }
  return sealed;
}

/**
 * Compares the files of a backup with its manifest, byte for byte through their checksums: nothing less finds a
 * flipped bit, and `pg_restore --list` accepts a truncated archive.
 *
 * @throws ManageDbError `BACKUP_INVALID` naming every file that differs, `INTERRUPTED`
 */
export async function verifyFiles(folder: string, manifest: Manifest, controls: OperationControls): Promise<void> {
  const { files } = manifest;
  const damages: string[] = [];
  for (const [index, file] of files.entries()) {
    controls.onProgress?.({ step: 'verifying checksums', done: index, total: files.length, isDetail: true });
    const damage = await damageOf(folder, file, controls.signal);
    if (damage !== null) damages.push(`${file.path} ${damage}`);
  }
  if (damages.length === 0) return;
  throw new ManageDbError(
    'BACKUP_INVALID',
    `Backup ${manifest.id} is damaged: ${damages.join('; ')}. Nothing was restored.`,
    {
      hint: 'Choose another one: manage_db list-all-backups',
      details: { id: manifest.id, damages },
    },
  );
}

/** Makes what was created in `folder` survive a power cut. The files themselves were synced when they were written. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function damageOf(folder: string, file: ManifestFile, signal: AbortSignal | undefined): Promise<string | null> {
  const found = await stat(join(folder, file.path)).catch(() => null);
  if (found === null || !found.isFile()) return 'is missing';
  if (found.size !== file.sizeBytes) return `has ${found.size} bytes instead of ${file.sizeBytes}`;
  const { sha256 } = await fingerprint(folder, file.path, signal);
  return sha256 === file.sha256 ? null : 'does not match its checksum';
}

async function fingerprint(folder: string, path: string, signal: AbortSignal | undefined): Promise<ManifestFile> {
  const hash = createHash('sha256');
  const reading = createReadStream(join(folder, path), { highWaterMark: 1 << 20 });
  await pipeline(reading, hash, { ...(signal === undefined ? {} : { signal }) });
  return { path, sizeBytes: reading.bytesRead, sha256: hash.digest('hex') };
}
