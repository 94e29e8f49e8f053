import { isBackupId, timeOfBackupId } from '../../manifest/backup-id.js';
import { isWhole, type ManifestOnDisk } from '../../manifest/manifest.js';
import type { Verification } from '../verification.js';
import type { Worker } from './work-mark.js';

/** `incomplete`: never finished, or being made just now. `damaged`: its manifest or a file of it is broken or missing. */
export type BackupState = 'complete' | 'incomplete' | 'damaged';

export interface BackupSummary {
  readonly id: string;
  readonly environment: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly sizeBytes: number;
  readonly label: string | null;
  /** Whether it has been shown to restore. */
  readonly verified: boolean;
  /** What `verify-backup` found, of this very manifest; `null` when it was not verified. */
  readonly verification: BackupVerification | null;
  readonly state: BackupState;
  /** Of an incomplete one: whether it is being made (or removed) just now. */
  readonly worker: Worker | null;
  /** Whether it has everything of its database, and so could take its place. */
  readonly isWhole: boolean;
  readonly path: string;
}

export interface BackupVerification {
  /** `deep`: restored and compared. `files`: every byte is as it was written, and the dump can be read to its end. */
  readonly how: 'deep' | 'files';
  /** ISO 8601, UTC: of the latest of that kind. */
  readonly at: string;
}

/** What a list of backups is made from, wherever they lie. */
export interface FoundBackup {
  readonly id: string;
  readonly environment: string;
  readonly path: string;
  /** Bytes of everything in it, by relative path; `null`: it cannot be read. */
  readonly sizes: ReadonlyMap<string, number> | null;
  /** Of one that was never finished. */
  readonly worker: Worker | null;
  /** `null`: it has none that can be read. */
  readonly manifest: ManifestOnDisk | null;
  readonly verification: Verification | null;
}

/** `null` for what has the name of no backup. */
export function summaryOf(found: FoundBackup): BackupSummary | null {
  const { id, environment, path, sizes, worker, manifest } = found;
  const createdAt = timeOfBackupId(id);
  if (createdAt === null || !isBackupId(id)) return null;
  const sizeBytes = [...(sizes?.values() ?? [])].reduce((sum, size) => sum + size, 0);
  const common = { ...NOTHING_KNOWN, id, environment, sizeBytes, path, createdAt };
  if (worker !== null) return { ...common, state: 'incomplete', worker };
  // somebody counts on it: it must not look as if it had never been made
  if (sizes === null || manifest === null) return { ...common, state: 'damaged' };
  const { createdAt: begunAt, label, files } = manifest.manifest;
  const isComplete = files.every((file) => sizes.get(file.path) === file.sizeBytes);
  const verification = isComplete ? verificationOf(found.verification, manifest.sha256) : null;
  return {
    ...common,
    createdAt: begunAt,
    label,
    isWhole: isWhole(manifest.manifest),
    verification,
    verified: verification?.how === 'deep',
    state: isComplete ? 'complete' : 'damaged',
  };
}

const NOTHING_KNOWN = { verified: false, verification: null, worker: null, isWhole: false, label: null } as const;

/** The verification that a record tells of, where it is of the manifest with this checksum. */
export function verificationOf(record: Verification | null, manifestSha256: string): BackupVerification | null {
  if (record === null || record.manifestSha256 !== manifestSha256) return null;
  const { deep, files } = record;
  return deep === null ? { how: 'files', at: files.at } : { how: 'deep', at: deep.at };
}

export function newestFirst(a: BackupSummary, b: BackupSummary): number {
  return b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id);
}
