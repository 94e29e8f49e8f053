import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import pMap from 'p-map';
import type { BackupStorage } from '../../../../services/storage.js';
import { codeOf, ManageDbError, messageOf } from '../../../errors.js';
import { type OperationControls, stopIfAborted } from '../../../progress.js';
import { isBackupId } from '../../manifest/backup-id.js';
import {
  invalidManifest,
  MANIFEST_CHECKSUM_FILE,
  MANIFEST_FILE,
  type ManifestOnDisk,
  parseManifest,
} from '../../manifest/manifest.js';
import { parseVerification, VERIFICATION_FILE, verificationText } from '../verification.js';
import { isOwnFile } from './backup-files.js';
import type { BackupRepository } from './repository.js';
import { PARALLEL_REQUESTS, prefixOfBackup, removeStoredBackup } from './stored-backup.js';
import { type BackupSummary, summaryOf } from './summary.js';
import { MARK_FILE, workerInShared } from './work-mark.js';

/**
 * Milliseconds after which what is incomplete and has not grown is nobody's, also where the process that began it cannot be
 * looked up: on another machine, or in a container that is gone. A file that is being uploaded shows only at its end.
 */
const FORGOTTEN_MS = 7 * 24 * 60 * 60 * 1000;

/** The backups in a storage. One is complete when its manifest is there, which is written last and removed first. */
export function storageRepository(storage: BackupStorage, asked: string): BackupRepository {
  const prefixOf = ({ environment, id }: BackupSummary): string => prefixOfBackup(environment, id);
  return {
    location: storage.location,
    asked,
    async environments(signal) {
      const names = (await storage.list('', { signal })).map(({ key }) => key.split('/')[0] ?? '');
      return [...new Set(names)].filter((name) => name !== '').sort();
    },
    backupsOf: (environment, signal) => backupsOf(storage, environment, signal),
    manifestOf: ({ environment, id }) => readManifest(storage, { environment, id }),
    verificationOf: async (backup) =>
      parseVerification(await textOf(storage, `${prefixOf(backup)}${VERIFICATION_FILE}`)),
    async saveVerification(backup, verification) {
      const key = `${prefixOf(backup)}${VERIFICATION_FILE}`;
      if (verification === null) await storage.remove(key);
      else await storage.write(key, Readable.from([Buffer.from(verificationText(verification))]));
    },
    folderOf: (backup) => (storage.folder === null ? null : join(storage.folder, prefixOf(backup).slice(0, -1))),
    read: (backup, { path, sha256 }, signal) => storage.read(`${prefixOf(backup)}${path}`, { sha256, signal }),
    async strayFiles(backup, { files }) {
      const known = new Set(files.map(({ path }) => path));
      const stored = await storage.list(prefixOf(backup));
      const paths = stored.map(({ key }) => key.slice(prefixOf(backup).length));
      return paths
        .filter((path) => !known.has(path) && !isOwnFile(path))
        .map((path) => `${path} is not in the manifest`);
    },
    remove: (backup) => removeStoredBackup(storage, prefixOf(backup)),
    sweep: (environment, controls) => sweep(storage, environment, controls),
    close: () => storage.close(),
  };
}

async function backupsOf(
  storage: BackupStorage,
  environment: string,
  signal: AbortSignal | undefined,
): Promise<BackupSummary[]> {
  const summaries = await pMap(
    await sizesById(storage, environment, signal),
    ([id, sizes]) => {
      stopIfAborted(signal);
      return summarize(storage, { environment, id, sizes });
    },
    { concurrency: PARALLEL_REQUESTS },
  );
  return summaries.filter((summary) => summary !== null);
}

/** Bytes of everything that lies there, by id and relative path. */
async function sizesById(
  storage: BackupStorage,
  environment: string,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
  const prefix = `${environment}/`;
  const byId = new Map<string, Map<string, number>>();
  for (const { key, sizeBytes } of await storage.list(prefix, { signal })) {
    const [id = '', ...names] = key.slice(prefix.length).split('/');
    if (names.length === 0) continue;
    byId.set(id, (byId.get(id) ?? new Map<string, number>()).set(names.join('/'), sizeBytes));
  }
  return byId;
}

interface Stored {
  readonly environment: string;
  readonly id: string;
  readonly sizes: ReadonlyMap<string, number>;
}

async function summarize(storage: BackupStorage, { environment, id, sizes }: Stored): Promise<BackupSummary | null> {
  const prefix = prefixOfBackup(environment, id);
  const isFinished = sizes.has(MANIFEST_FILE);
  const manifest = isFinished ? await readManifest(storage, { environment, id }).catch(onlyInvalid) : null;
  return summaryOf({
    id,
    environment,
    path: `${storage.location}/${prefix.slice(0, -1)}`,
    sizes,
    worker: isFinished ? null : workerInShared(await textOf(storage, `${prefix}${MARK_FILE}`)),
    manifest,
    verification: sizes.has(VERIFICATION_FILE)
      ? parseVerification(await textOf(storage, `${prefix}${VERIFICATION_FILE}`))
      : null,
  });
}

/** A storage that does not answer says nothing about the backup. */
function onlyInvalid(error: unknown): null {
  if (error instanceof ManageDbError && error.code === 'BACKUP_INVALID') return null;
  throw error;
}

async function readManifest(
  storage: BackupStorage,
  expected: { readonly environment: string; readonly id: string },
): Promise<ManifestOnDisk> {
  const prefix = prefixOfBackup(expected.environment, expected.id);
  const bytes = await storage
    .read(`${prefix}${MANIFEST_FILE}`)
    .then(buffer)
    .catch((error: unknown) => {
      if (codeOf(error) !== 'NOT_FOUND' && codeOf(error) !== 'BACKUP_INVALID') throw error;
      throw invalidManifest(expected, `cannot be read (${messageOf(error)})`, error);
    });
  const checksum = await textOf(storage, `${prefix}${MANIFEST_CHECKSUM_FILE}`);
  return parseManifest({ bytes, checksum }, expected);
}

/** Empty where there is none, or not what was written. */
async function textOf(storage: BackupStorage, key: string): Promise<string> {
  try {
    return await text(await storage.read(key));
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND' || codeOf(error) === 'BACKUP_INVALID') return '';
    throw error;
  }
}

/** Looks only at what has no manifest, and once more before it is removed: it may have been finished meanwhile. */
async function sweep(
  storage: BackupStorage,
  environment: string,
  { onProgress, signal }: OperationControls,
): Promise<string[]> {
  const forgotten = new Date(Date.now() - FORGOTTEN_MS);
  const swept: string[] = [];
  for (const [id, sizes] of await sizesById(storage, environment)) {
    if (signal?.aborted) break;
    if (!isBackupId(id) || sizes.has(MANIFEST_FILE)) continue;
    const prefix = prefixOfBackup(environment, id);
    const worker = workerInShared(await textOf(storage, `${prefix}${MARK_FILE}`));
    if (worker === 'running') continue;
    if (worker !== 'gone' && !(await isForgotten(storage, prefix, forgotten))) continue;
    if ((await storage.head(`${prefix}${MANIFEST_FILE}`)) !== null) continue;
    await removeStoredBackup(storage, prefix);
    swept.push(id);
    onProgress?.({ step: `removed what a killed process has left of backup ${id}` });
  }
  // a login that may write need not be one that may look for these
  await storage.removeUnfinished(forgotten, { signal }).catch(() => 0);
  return swept;
}

async function isForgotten(storage: BackupStorage, prefix: string, before: Date): Promise<boolean> {
  const files = await storage.list(prefix);
  return files.every(({ modifiedAt }) => new Date(modifiedAt) < before);
}
