import { getWorkspace } from '../../config/workspace.js';
import { type BackupStorage, folderStorage } from '../../services/storage.js';
import { withMaintenanceConnection } from '../../services/with-connection.js';
import { codeOf, ManageDbError } from '../errors.js';
import { guarded, type Target } from '../safety/gate.js';
import type { Deposit } from './backup/deposit.js';
import { asDiskFull } from './backup/disk-full.js';
import { newSealing } from './backup/encryption/sealing.js';
import { fillBackup } from './backup/fill.js';
import { proveBackup } from './backup/prove.js';
import { makeBackup, makeStoredBackup } from './backup/repository/backup-folder.js';
import { withStorage } from './backup/repository/open-repository.js';
import { storageRepository } from './backup/repository/storage-repository.js';
import { prefixOfBackup } from './backup/repository/stored-backup.js';
import { sweepPartials } from './backup/repository/sweep-partials.js';
import { type BackupOptions, type BackupRequest, backupRequest } from './backup/request.js';
import { isSafetyLabel } from './backup/safety-label.js';
import type { Verification } from './backup/verification.js';
import { explained } from './failure.js';
import type { Manifest, ManifestFile } from './manifest/manifest.js';
import { dropAbandonedScratchDatabases } from './scratch/scratch-database.js';

export type { BackupState, BackupSummary, BackupVerification } from './backup/repository/summary.js';
export type { BackupOptions } from './backup/request.js';
export { type BackupFormat, type Manifest, usersTables } from './manifest/manifest.js';

export interface BackupResult {
  readonly id: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly durationMs: number;
  readonly manifest: Manifest;
}

/**
 * Dumps the database of an environment into `backups/<environment>/<id>/`, with a manifest of what is in it. Whatever
 * happens, there is a complete backup afterwards or none.
 *
 * @throws ManageDbError `USAGE`, `CLIENT_TOOLS_MISSING`, `CLIENT_TOOL_FAILED`, `DISK_FULL`, `LOCK_TIMEOUT`, `INTERRUPTED`,
 *   `NOT_FOUND` for a schema or table that is not there, `BACKUP_INVALID` and `PERMISSION_DENIED` with `prove`,
 *   `STORAGE_FAILED`, and what the gate and connecting throw
 * @example const { id } = await backupDatabase({ env: 'development', label: 'before the upgrade' });
 */
export async function backupDatabase(options: BackupOptions = {}): Promise<BackupResult> {
  const request = backupRequest(options);
  if (isSafetyLabel(request.label)) {
    throw new ManageDbError(
      'USAGE',
      `"${request.label}" is the label of backups that manage_db makes itself, of what it replaces or drops.`,
      {
        hint: 'Choose another label.',
      },
    );
  }
  return guarded('create-backup', options, (target) => createBackup(target, request));
}

/** The work of {@link backupDatabase}, for operations that have passed the gate themselves. */
export function backupTarget(target: Target, options: Omit<BackupOptions, 'env' | 'consent'>): Promise<BackupResult> {
  return createBackup(target, backupRequest(options));
}

async function createBackup(target: Target, request: BackupRequest): Promise<BackupResult> {
  const { storage } = request;
  if (storage === undefined) return createIn(null, target, request);
  return withStorage(storage, target.environment, (open) => createIn(open, target, request));
}

/** In the workspace, where there is no `storage`. */
async function createIn(storage: BackupStorage | null, target: Target, request: BackupRequest): Promise<BackupResult> {
  const startedAt = new Date();
  const { backupsDir } = await getWorkspace();
  const { environment } = target;
  const { encrypt, askPassphrase, isProven, controls } = request;
  let leftBehind = 'and nothing of it was left behind';
  try {
    await sweepPartials({ backupsDir, environment }, controls);
    // of restores and proofs; who may not look there leaves them to the next restore
    await withMaintenanceConnection(target.settings, dropAbandonedScratchDatabases).catch(() => undefined);
    if (storage !== null) {
      // what cannot be removed there is no reason to make no backup
      await storageRepository(storage, storage.location).sweep(environment, controls).catch(unlessRefused);
    }
    const sealing = encrypt === undefined ? null : await newSealing({ environment, encrypt, askPassphrase, isProven });
    const backup = { backupsDir, environment, label: request.label, at: startedAt };
    const depositOf = (folder: string, id: string): Deposit | null => {
      if (storage !== null) return { storage, prefix: prefixOfBackup(environment, id), sealing };
      return sealing === null ? null : { storage: folderStorage(folder), prefix: '', sealing };
    };
    const making = {
      fill: (folder: string, id: string) =>
        fillBackup(folder, { id, target, request, startedAt, deposit: depositOf(folder, id) }),
      prove: async (folder: string, manifest: Manifest) =>
        isProven ? prove({ folder, manifest, target, request, deposit: depositOf(folder, manifest.id) }) : null,
    };
    const onLeft = (): void => {
      leftBehind = `and what was stored of it in ${storage?.location} is removed by the next create-backup there`;
    };
    const { path, manifest } = await (storage === null
      ? makeBackup(backup, making)
      : makeStoredBackup(backup, { ...making, storage, onLeft }));
    const sizeBytes = manifest.files.reduce((sum, file) => sum + file.sizeBytes, 0);
    return { id: manifest.id, path, sizeBytes, durationMs: Date.now() - startedAt.getTime(), manifest };
  } catch (error) {
    const known = asDiskFull(error, backupsDir);
    throw explained(known, `No backup was made, ${leftBehind}.`, controls.signal);
  }
}

function unlessRefused(error: unknown): void {
  if (codeOf(error) !== 'PERMISSION_DENIED') throw error;
}

interface Proving {
  readonly folder: string;
  readonly manifest: Manifest;
  readonly target: Target;
  readonly request: BackupRequest;
  readonly deposit: Deposit | null;
}

/** What was stored elsewhere is fetched from there: that is what is proven. */
function prove({ folder, manifest, target, request, deposit }: Proving): Promise<Verification> {
  const { storage = folderStorage(folder), prefix = '', sealing = null } = deposit ?? {};
  const opening = {
    manifest,
    folder: prefix === '' ? folder : null,
    read: ({ path, sha256 }: ManifestFile, signal: AbortSignal | undefined) =>
      storage.read(`${prefix}${path}`, { sha256, signal }),
    decrypt: { identities: sealing === null ? [] : [sealing.identity] },
    controls: request.controls,
  };
  return proveBackup({ settings: target.settings, serverMajor: manifest.serverMajor, opening });
}
