import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ManageDbError, messageOf } from '../../../errors.js';
import { type OperationControls, stopIfAborted } from '../../../progress.js';
import { MANIFEST_CHECKSUM_FILE, MANIFEST_FILE, type Manifest, type ManifestFile } from '../../manifest/manifest.js';
import { VERIFICATION_FILE } from '../verification.js';
import { MARK_FILE } from './work-mark.js';

/** What lies in a backup beside the files that its manifest lists. */
const OWN_FILES = [MANIFEST_FILE, MANIFEST_CHECKSUM_FILE, VERIFICATION_FILE, MARK_FILE];

/** What a killed process may leave of writing one of them. */
const TEMPORARY = /^\.[0-9a-f]{12}\.tmp$/;

/** Whether a relative path is that of a file which every backup may have, and no manifest lists. */
export function isOwnFile(path: string): boolean {
  return OWN_FILES.includes(path) || TEMPORARY.test(path);
}

/** Every file below `folder` (relative paths, sorted), without the folders. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
}

/** Size and SHA-256 of every file below `folder`; makes each readable by its owner only. */
export async function sealFiles(folder: string, { onProgress, signal }: OperationControls): Promise<ManifestFile[]> {
  const paths = (await filesBelow(folder)).filter((path) => path !== MARK_FILE);
  const sealed: ManifestFile[] = [];
  for (const path of paths) {
    onProgress?.({ step: 'computing checksums', done: sealed.length, total: paths.length, isDetail: true });
    await chmod(join(folder, path), 0o600);
    sealed.push(await fingerprint(folder, path, signal));
  }
  return sealed;
}

/** The refusal of a backup whose files are not what its manifest says, with each damage in `details.damages`. */
export function damagedBackup({ id }: Manifest, damages: readonly string[]): ManageDbError {
  return new ManageDbError('BACKUP_INVALID', `Backup ${id} is damaged: ${damages.join('; ')}.`, {
    hint: 'Choose another one: manage_db list-all-backups',
    details: { id, damages },
  });
}

/**
 * One sentence for each file of the manifest that is not there as it was written. Byte for byte, through their checksums: nothing less
 * finds a flipped bit, and `pg_restore --list` accepts a truncated archive.
 */
export async function damagedFiles(
  folder: string,
  { files }: Manifest,
  { onProgress, signal }: OperationControls,
): Promise<string[]> {
  const kinds = await kindsBelow(folder);
  const damages: string[] = [];
  for (const [index, file] of files.entries()) {
    onProgress?.({ step: 'verifying checksums', done: index, total: files.length, isDetail: true });
    const damage = await damageOf(folder, file, { kind: kinds.get(file.path), signal });
    if (damage !== null) damages.push(`${file.path} ${damage}`);
  }
  return damages;
}

/** One sentence for each thing that lies in a backup and that nobody has put there when it was made. */
export async function strayFiles(folder: string, { files }: Manifest): Promise<string[]> {
  const known = new Set(files.map(({ path }) => path));
  const paths = [...(await kindsBelow(folder)).keys()].filter((path) => !known.has(path) && !isOwnFile(path));
  return paths.map((path) => `${path} is not in the manifest`);
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

type Kind = 'file' | 'link' | 'other';

/** What lies below `folder`, by relative path, without the folders. Links are not followed. */
async function kindsBelow(folder: string): Promise<Map<string, Kind>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return new Map(
    entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => [
        join(entry.parentPath, entry.name).slice(folder.length + 1),
        entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'link' : 'other',
      ]),
  );
}

async function damageOf(
  folder: string,
  file: ManifestFile,
  { kind, signal }: { readonly kind: Kind | undefined; readonly signal: AbortSignal | undefined },
): Promise<string | null> {
  if (kind === 'link') return 'is a link, and what it leads to is no part of the backup';
  if (kind !== 'file') return 'is missing';
  try {
    const found = await fingerprint(folder, file.path, signal);
    if (found.sizeBytes !== file.sizeBytes) return `has ${found.sizeBytes} bytes instead of ${file.sizeBytes}`;
    return found.sha256 === file.sha256 ? null : 'does not match its checksum';
  } catch (error) {
    if (signal?.aborted) throw error;
    return `cannot be read (${messageOf(error)})`;
  }
}

/** Bytes up to which a file is read at once: a stream costs more than they do. */
const SMALL = 256 * 1024;

async function fingerprint(folder: string, path: string, signal: AbortSignal | undefined): Promise<ManifestFile> {
  if ((await stat(join(folder, path))).size <= SMALL) {
    stopIfAborted(signal);
    const bytes = await readFile(join(folder, path));
    return { path, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  }
  const hash = createHash('sha256');
  const reading = createReadStream(join(folder, path), { highWaterMark: 1 << 20 });
  await pipeline(reading, hash, { ...(signal === undefined ? {} : { signal }) });
  return { path, sizeBytes: reading.bytesRead, sha256: hash.digest('hex') };
}
