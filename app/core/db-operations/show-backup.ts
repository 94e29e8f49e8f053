import { currentEnv } from '../environment.js';
import { normalizeEnv } from '../environment-names.js';
import { ManageDbError } from '../errors.js';
import { backupCommand } from './backup/backup-command.js';
import { chooseBackup } from './backup/repository/choose-backup.js';
import { withRepository } from './backup/repository/open-repository.js';
import type { BackupSummary } from './backup/repository/summary.js';
import type { Verification } from './backup/verification.js';
import type { Manifest } from './manifest/manifest.js';

export interface ShowBackupOptions {
  readonly env?: string;
  /** A backup's id, the beginning of exactly one, or `latest`: the newest that was ever finished. */
  readonly id: string;
  /** In a storage instead of the workspace: `s3://bucket/prefix`, or a folder. */
  readonly storage?: string | undefined;
}

export interface ShownBackup extends BackupSummary {
  readonly manifest: Manifest;
  /** What `verify-backup` found and when; `null` when it was not verified, or its manifest has changed since. */
  readonly verified: boolean;
  readonly verifications: Pick<Verification, 'files' | 'deep'> | null;
}

/**
 * What is in a backup, and what is known about it. Reads its manifest, not its dump.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`, `BACKUP_INVALID` when it is incomplete or its manifest cannot be read
 * @example const { manifest } = await showBackup({ env: 'production', id: 'latest' });
 */
export async function showBackup({ env, id, storage }: ShowBackupOptions): Promise<ShownBackup> {
  const environment = normalizeEnv(env ?? currentEnv());
  return withRepository({ storage, environment }, async (repository) => {
    const backup = await chooseBackup(repository, environment, id, { latestFinished: true });
    if (backup.state === 'incomplete') {
      throw new ManageDbError(
        'BACKUP_INVALID',
        `Backup ${backup.id} of ${environment} is incomplete: it has no manifest.`,
        {
          hint: `Choose another one: ${backupCommand('list-all-backups', { environment, storage })}`,
        },
      );
    }
    const { manifest } = await repository.manifestOf(backup);
    const record = backup.verification === null ? null : await repository.verificationOf(backup);
    return {
      ...backup,
      manifest,
      verifications: record === null ? null : { files: record.files, deep: record.deep },
    };
  });
}
