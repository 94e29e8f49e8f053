import { createWriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline as pipe, type Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { getWorkspace } from '../../../../config/workspace.js';
import { decryption } from '../../../../services/encryption.js';
import { withWorkFolder } from '../../../../services/work-folder.js';
import { codeOf, messageOf } from '../../../errors.js';
import { makeFolder } from '../../../files.js';
import { type OperationControls, stopIfAborted } from '../../../progress.js';
import { forEach } from '../../database-state/together.js';
import type { Manifest, ManifestFile } from '../../manifest/manifest.js';
import { asDiskFull } from '../disk-full.js';
import { GLOBALS_FILE } from '../globals.js';
import { damagedBackup, damagedFiles } from '../repository/backup-files.js';
import type { BackupRepository } from '../repository/repository.js';
import type { BackupSummary } from '../repository/summary.js';
import { type DecryptOptions, identitiesIn, keysFor } from './keys.js';
import { ENCRYPTED_SUFFIX, KEY_FILE } from './sealing.js';

/** A backup, and how its files are read. */
export interface Opening {
  readonly manifest: Manifest;
  /** The folder that it lies in, where that is one of this machine. */
  readonly folder: string | null;
  readonly read: (file: ManifestFile, signal: AbortSignal | undefined) => Promise<Readable>;
  readonly decrypt: DecryptOptions;
  readonly controls: OperationControls;
}

/** Files that are fetched at the same time. */
const PARALLEL = 4;

/** How a backup of a repository is opened. */
export function openingOf(
  repository: BackupRepository,
  backup: BackupSummary,
  more: Pick<Opening, 'manifest' | 'decrypt' | 'controls'>,
): Opening {
  return {
    ...more,
    folder: repository.folderOf(backup),
    read: (file, signal) => repository.read(backup, file, signal),
  };
}

/**
 * Gives `work` a folder with the files of a backup as pg_restore and psql read them, when every one has shown to be what
 * the manifest says. It is the folder of the backup itself where nothing has to be fetched or decrypted; otherwise
 * one of its own, which is gone afterwards.
 *
 * @throws ManageDbError `BACKUP_INVALID` with every damage in `details.damages`, `DECRYPTION_FAILED`, `NOT_FOUND`,
 *   `STORAGE_FAILED`, `DISK_FULL`, `INTERRUPTED`, and what `work` throws
 */
export async function withOpenBackup<T>(opening: Opening, work: (folder: string) => Promise<T>): Promise<T> {
  const { manifest, folder, controls } = opening;
  if (folder !== null) {
    const damages = await damagedFiles(folder, manifest, controls);
    if (damages.length > 0) throw damagedBackup(manifest, damages);
    if (manifest.encryption === null) return work(folder);
  }
  const { backupsDir } = await getWorkspace();
  // as large as a backup, and as secret: not where all temporary files are
  makeFolder(backupsDir);
  return withWorkFolder(backupsDir, async (own) => {
    await fetchFiles(opening, own).catch((error: unknown) => {
      throw asDiskFull(error, backupsDir);
    });
    return work(own);
  });
}

async function fetchFiles(opening: Opening, folder: string): Promise<void> {
  const { manifest, read, controls } = opening;
  const { signal, onProgress } = controls;
  const identities = manifest.encryption === null ? null : await identitiesFor(opening);
  const files = manifest.files.filter(({ path }) => path !== KEY_FILE);
  const damages: string[] = [];
  let done = 0;
  const pathOf = ({ path }: ManifestFile) => join(folder, identities === null ? path : withoutSuffix(path));
  for (const name of new Set(files.map((file) => dirname(pathOf(file))))) makeFolder(name);
  await forEach(files, { concurrency: PARALLEL, signal }, async (file, either) => {
    stopIfAborted(either);
    onProgress?.({ step: stepOf(opening), done, total: files.length, isDetail: true });
    try {
      const clear = identities === null ? [] : [await decryption({ identities })];
      const content = await read(file, either);
      // roles and their passwords are in it, and nobody restores from it: it is read, and lies nowhere in the clear
      const isSecret = identities !== null && withoutSuffix(file.path) === GLOBALS_FILE;
      const output = isSecret ? nowhere() : createWriteStream(pathOf(file), { flags: 'wx', mode: 0o600 });
      await pipeline([content, ...clear, output], { signal: either });
    } catch (error) {
      stopIfAborted(either);
      if (!isDamage(error)) throw error;
      damages.push(`${file.path}: ${messageOf(error)}`);
    }
    done += 1;
  });
  if (damages.length > 0) throw damagedBackup(manifest, damages.sort());
}

function nowhere(): Writable {
  return new Writable({ write: (_bytes, _encoding, done) => done() });
}

function isDamage(error: unknown): boolean {
  return codeOf(error) === 'BACKUP_INVALID' || codeOf(error) === 'NOT_FOUND';
}

function stepOf({ manifest, folder }: Opening): string {
  const verbs = [...(folder === null ? ['fetching'] : []), ...(manifest.encryption === null ? [] : ['decrypting'])];
  return `${verbs.join(' and ')} the backup`;
}

function withoutSuffix(path: string): string {
  return path.endsWith(ENCRYPTED_SUFFIX) ? path.slice(0, -ENCRYPTED_SUFFIX.length) : path;
}

/** The identities that open the files of an encrypted backup. */
async function identitiesFor({ manifest, decrypt, read, controls }: Opening): Promise<readonly string[]> {
  const keyFile = manifest.files.find(({ path }) => path === KEY_FILE);
  const given = await keysFor(manifest, decrypt, { isByPassphrase: keyFile !== undefined });
  if (keyFile === undefined || (given.identities ?? []).length > 0) return given.identities ?? [];
  const opened = await decryption(given);
  try {
    pipe(await read(keyFile, controls.signal), opened, () => undefined);
    return identitiesIn(await text(opened));
  } catch (error) {
    stopIfAborted(controls.signal);
    throw isDamage(error) ? damagedBackup(manifest, [`${KEY_FILE}: ${messageOf(error)}`]) : error;
  }
}
