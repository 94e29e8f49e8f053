import { randomBytes } from 'node:crypto';
import { rmSync, type Stats } from 'node:fs';
import { type FileHandle, open, readdir, realpath, rename, rm, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { Readable } from 'node:stream';
import { codeOf, ManageDbError, messageOf } from '../../core/errors.js';
import { makeFolder } from '../../core/files.js';
import { stopIfAborted } from '../../core/progress.js';
import { onUntimelyEnd } from '../untimely-end.js';
import { readingFrom } from './content.js';
import { checkedKey, UNFINISHED } from './key.js';
import type { BackupStorage, ReadOptions, StorageOptions, StoredFile, WriteOptions, Written } from './storage.js';
import { measuring, verified, verifyWritten } from './verified.js';

/**
 * Keeps files in the folder `path`, readable by their owner only (0600, folders 0700). The folder is made when the first
 * file is written.
 *
 * @example const storage = folderStorage('/srv/backups');
 */
export function folderStorage(path: string): BackupStorage {
  const root = resolve(path);
  return {
    location: root,
    folder: root,
    list: (prefix, options = {}) => list(root, prefix, options),
    head: async (key) => {
      const found = await find(root, key);
      return found === null ? null : { ...storedFile(key, found.stats), sha256: null };
    },
    read: (key, options = {}) => read(root, key, options),
    write: (key, content, options = {}) => write(root, key, content, options),
    remove: (key) => remove(root, key),
    removeUnfinished: (olderThan, options = {}) => removeUnfinished(root, olderThan, options),
    close: () => undefined,
  };
}

async function list(root: string, prefix: string, { signal }: StorageOptions): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  for (const path of await filesBelow(root)) {
    stopIfAborted(signal);
    const key = relative(root, path).split(sep).join('/');
    if (!key.startsWith(prefix) || UNFINISHED.test(basename(path))) continue;
    // it may have been removed in the meantime
    const stats = await stat(path).catch(() => null);
    if (stats !== null) files.push(storedFile(key, stats));
  }
  return files.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

async function read(root: string, key: string, { signal, sha256 }: ReadOptions): Promise<Readable> {
  stopIfAborted(signal);
  const found = await find(root, key);
  if (found === null) {
    throw new ManageDbError('NOT_FOUND', `There is no ${key} in ${root}.`, { details: { key, location: root } });
  }
  const file = await open(found.path, 'r').catch((error: unknown) => {
    throw new ManageDbError('UNREADABLE_FILE', `${found.path} cannot be read: ${messageOf(error)}.`, { cause: error });
  });
  const content = file.createReadStream({ highWaterMark: 1 << 18, ...(signal === undefined ? {} : { signal }) });
  // it may be interrupted before anybody reads it
  content.on('error', () => undefined);
  const expected = { sizeBytes: found.stats.size, sha256s: sha256 === undefined ? [] : [sha256] };
  return Readable.from(interruptible(verified(content, expected, found.path), signal), { objectMode: false });
}

async function* interruptible(content: AsyncIterable<Buffer>, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  try {
    yield* content;
  } catch (error) {
    stopIfAborted(signal);
    throw error;
  }
}

async function write(root: string, key: string, content: Readable, options: WriteOptions): Promise<Written> {
  const { signal, sha256 } = options;
  const reading = readingFrom(content, signal);
  let begun: Awaited<ReturnType<typeof begin>>;
  try {
    stopIfAborted(signal);
    begun = await begin(root, key);
  } catch (error) {
    reading.destroy();
    throw error;
  }
  const { file, path, unfinished } = begun;
  const forget = onUntimelyEnd(() => rmSync(unfinished, { force: true }));
  try {
    const written = await fill(file, { reading, signal, path }).finally(() => file.close());
    verifyWritten(written, sha256, path);
    stopIfAborted(signal);
    await rename(unfinished, path);
    await syncFolders(dirname(path), root);
    return written;
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    forget();
  }
}

async function begin(root: string, key: string): Promise<{ file: FileHandle; path: string; unfinished: string }> {
  const path = join(root, checkedKey(key));
  const unfinished = join(dirname(path), `.${randomBytes(6).toString('hex')}.unfinished`);
  for (let attempt = 1; ; attempt += 1) {
    try {
      makeFolder(dirname(path));
      await refuseToLeave(root, dirname(path));
      return { file: await open(unfinished, 'wx', 0o600), path, unfinished };
    } catch (error) {
      // somebody who removed the folder's last file has removed the folder too
      if (codeOf(error) !== 'ENOENT' || attempt === 3) throw failed(path, error);
    }
  }
}

interface Filling {
  readonly reading: Readable;
  readonly signal: AbortSignal | undefined;
  readonly path: string;
}

async function fill(file: FileHandle, { reading, signal, path }: Filling): Promise<Written> {
  const measure = measuring();
  try {
    for await (const bytes of reading) {
      measure.update(bytes);
      await toDisk(path, () => file.writeFile(bytes));
    }
  } catch (error) {
    stopIfAborted(signal);
    throw error;
  }
  await toDisk(path, () => file.sync());
  return measure.end();
}

async function toDisk(path: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw failed(path, error);
  }
}

async function remove(root: string, key: string): Promise<void> {
  const found = await find(root, key);
  if (found === null) return;
  await rm(found.path, { force: true });
  for (let folder = dirname(found.path); folder.length > root.length; folder = dirname(folder)) {
    // until one that holds something else
    if (
      !(await rmdir(folder).then(
        () => true,
        () => false,
      ))
    )
      break;
  }
}

async function removeUnfinished(root: string, olderThan: Date, { signal }: StorageOptions): Promise<number> {
  let removed = 0;
  for (const path of await filesBelow(root)) {
    stopIfAborted(signal);
    if (!UNFINISHED.test(basename(path))) continue;
    const stats = await stat(path).catch(() => null);
    if (stats === null || stats.mtime >= olderThan) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed;
}

/** The file of a key, where it is one that lies below `root`. */
async function find(root: string, key: string): Promise<{ path: string; stats: Stats } | null> {
  const path = join(root, checkedKey(key));
  try {
    const stats = await stat(path);
    if (!stats.isFile()) return null;
    await refuseToLeave(root, dirname(path));
    return { path, stats };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return null;
    if (error instanceof ManageDbError) throw error;
    throw new ManageDbError('UNREADABLE_FILE', `${path} cannot be read: ${messageOf(error)}.`, { cause: error });
  }
}

/** A symbolic link to a folder elsewhere would do what `..` may not. */
async function refuseToLeave(root: string, folder: string): Promise<void> {
  const [realRoot, realFolder] = await Promise.all([realpath(root), realpath(folder)]);
  if (realFolder === realRoot || realFolder.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep)) return;
  throw new ManageDbError('USAGE', `${folder} leads out of ${root}, to ${realFolder}. Nothing was read or written.`, {
    hint: 'Replace the symbolic link by a folder.',
  });
}

async function filesBelow(root: string): Promise<string[]> {
  try {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw new ManageDbError('UNREADABLE_FILE', `${root} cannot be read: ${messageOf(error)}.`, { cause: error });
  }
}

/** Makes the name of a new file survive a power cut, and those of the folders that were made for it. */
async function syncFolders(folder: string, root: string): Promise<void> {
  for (let path = folder; path.length >= root.length; path = dirname(path)) {
    const handle = await open(path, 'r');
    await handle.sync().finally(() => handle.close());
    if (path === dirname(path)) return;
  }
}

function storedFile(key: string, { size, mtime }: Stats): StoredFile {
  return { key, sizeBytes: size, modifiedAt: mtime.toISOString() };
}

function failed(path: string, error: unknown): ManageDbError {
  if (error instanceof ManageDbError) return error;
  return new ManageDbError('STORAGE_FAILED', `${path} cannot be written: ${messageOf(error)}. Nothing was stored.`, {
    hint: codeOf(error) === 'ENOSPC' ? 'Make room, or use another folder.' : 'Check that the folder can be written to.',
    cause: error,
  });
}
