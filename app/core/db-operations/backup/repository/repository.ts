import type { Readable } from 'node:stream';
import type { OperationControls } from '../../../progress.js';
import type { Manifest, ManifestFile, ManifestOnDisk } from '../../manifest/manifest.js';
import type { Verification } from '../verification.js';
import type { BackupSummary } from './summary.js';

/** Where backups lie, each below `<environment>/<id>/`: the folder of the workspace, or a storage. */
export interface BackupRepository {
  /** For messages: a path, or `s3://bucket/prefix`. */
  readonly location: string;

  /** The storage as `--storage` was given it; `null`: the workspace. For commands to type next. */
  readonly asked: string | null;

  /** Which environments have something there, by name. */
  environments(signal?: AbortSignal): Promise<string[]>;

  /** The backups of one environment, in no order. Manifests and sizes are read, not the dumps. */
  backupsOf(environment: string, signal?: AbortSignal): Promise<BackupSummary[]>;

  /** @throws ManageDbError `BACKUP_INVALID` when it is missing, broken, or not of this backup */
  manifestOf(backup: BackupSummary): Promise<ManifestOnDisk>;

  /** What was found when it was verified, of whatever manifest. */
  verificationOf(backup: BackupSummary): Promise<Verification | null>;

  /** Keeps what was found; `null`: nothing is known any more. */
  saveVerification(backup: BackupSummary, verification: Verification | null): Promise<void>;

  /** The folder that it lies in, where that is one of this machine. */
  folderOf(backup: BackupSummary): string | null;

  /** The content of one file. It fails with `BACKUP_INVALID`, at its end at the latest, when it is not what the manifest says. */
  read(backup: BackupSummary, file: ManifestFile, signal: AbortSignal | undefined): Promise<Readable>;

  /** One sentence for each thing that lies in it and that nobody has put there when it was made. */
  strayFiles(backup: BackupSummary, manifest: Manifest): Promise<string[]>;

  /** Removes it: whatever happens, it is there as a whole or is no backup. `false`: somebody else has done so meanwhile. */
  remove(backup: BackupSummary): Promise<boolean>;

  /** Removes what killed processes have left of backups that were being made or removed. Returns the ids. */
  sweep(environment: string, controls: OperationControls): Promise<string[]>;

  /** Ends its connections. */
  close(): void;
}
