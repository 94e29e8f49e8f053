import { folderStorage } from '../../../../services/storage.js';
import { readManifestFile } from '../../manifest/manifest.js';
import { readVerification, removeVerification, writeVerification } from '../verification.js';
import { strayFiles, syncFolder } from './backup-files.js';
import { removeBackup } from './backup-folder.js';
import { backupsOf, foldersIn } from './backup-list.js';
import type { BackupRepository } from './repository.js';
import { sweepPartials } from './sweep-partials.js';

/** The backups of a workspace, in its own folder. */
export function folderRepository(backupsDir: string): BackupRepository {
  return {
    location: backupsDir,
    asked: null,
    environments: () => foldersIn(backupsDir),
    backupsOf: (environment, signal) => backupsOf(backupsDir, environment, signal),
    manifestOf: ({ path, id, environment }) => readManifestFile(path, { id, environment }),
    verificationOf: ({ path }) => readVerification(path),
    async saveVerification({ path }, verification) {
      if (verification === null) await removeVerification(path);
      else writeVerification(path, verification);
      await syncFolder(path);
    },
    folderOf: ({ path }) => path,
    read: ({ path }, { path: file, sha256 }, signal) => folderStorage(path).read(file, { sha256, signal }),
    strayFiles: ({ path }, manifest) => strayFiles(path, manifest),
    remove: ({ path }) => removeBackup(path),
    sweep: (environment, controls) => sweepPartials({ backupsDir, environment }, controls),
    close: () => undefined,
  };
}
