import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline, Readable } from 'node:stream';
import type { BackupStorage } from '../../../services/storage.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import { forEach } from '../database-state/together.js';
import type { ManifestFile } from '../manifest/manifest.js';
import { ENCRYPTED_SUFFIX, KEY_FILE, type Sealing } from './encryption/sealing.js';
import { filesBelow } from './repository/backup-files.js';

/** Where the files of a backup that is being made go, where they do not stay as pg_dump writes them. */
export interface Deposit {
  readonly storage: BackupStorage;
  /** What their keys begin with. */
  readonly prefix: string;
  /** How they are encrypted; `null`: they are not. */
  readonly sealing: Sealing | null;
}

export interface PutOptions {
  readonly signal?: AbortSignal | undefined;
  /** About how many bytes will come, where that is known. */
  readonly expectedBytes?: number | undefined;
}

/** Files that are put there at the same time. */
const PARALLEL = 4;

/**
 * Stores one file as it comes, and returns what the manifest says of it.
 *
 * @throws ManageDbError `STORAGE_FAILED`, `INTERRUPTED`, and what `content` fails with
 */
export async function put(
  { storage, prefix, sealing }: Deposit,
  path: string,
  content: Readable,
  options: PutOptions = {},
): Promise<ManifestFile> {
  // it may fail before anybody reads it; who reads it then hears of that
  content.on('error', () => undefined);
  if (sealing === null) return { path, ...(await storage.write(`${prefix}${path}`, content, options)) };
  const encrypted = await sealing.stream();
  pipeline(content, encrypted, () => undefined);
  const name = `${path}${ENCRYPTED_SUFFIX}`;
  return { path: name, ...(await storage.write(`${prefix}${name}`, encrypted, options)) };
}

/** Stores what opens the other files, where that is a file. */
export async function putKey({ storage, prefix, sealing }: Deposit, options: PutOptions = {}): Promise<ManifestFile[]> {
  if (sealing === null || sealing.keyFile === null) return [];
  const written = await storage.write(`${prefix}${KEY_FILE}`, Readable.from([sealing.keyFile]), options);
  return [{ path: KEY_FILE, ...written }];
}

/** Stores every file below `name` in `folder`, and removes it there. */
export async function putFolder(
  deposit: Deposit,
  { folder, name }: { readonly folder: string; readonly name: string },
  { onProgress, signal }: OperationControls,
): Promise<ManifestFile[]> {
  const paths = (await filesBelow(join(folder, name))).map((path) => `${name}/${path}`);
  const verb = deposit.sealing === null ? 'storing' : 'encrypting';
  let done = 0;
  return forEach(paths, { concurrency: PARALLEL, signal }, async (path, either) => {
    stopIfAborted(either);
    onProgress?.({ step: `${verb} the dump`, done, total: paths.length, isDetail: true });
    const source = join(folder, path);
    const { size } = await stat(source);
    const content = createReadStream(source, { highWaterMark: 1 << 20 });
    const file = await put(deposit, path, content, { signal: either, expectedBytes: size });
    await rm(source);
    done += 1;
    return file;
  });
}
