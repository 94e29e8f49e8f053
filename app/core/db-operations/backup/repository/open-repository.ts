import { readS3Settings } from '../../../../config/backup-settings.js';
import { getWorkspace } from '../../../../config/workspace.js';
import { type BackupStorage, openStorage, type S3Access } from '../../../../services/storage.js';
import { currentEnv } from '../../../environment.js';
import { ManageDbError } from '../../../errors.js';
import { folderRepository } from './folder-repository.js';
import type { BackupRepository } from './repository.js';
import { storageRepository } from './storage-repository.js';

/** Where to look: `storage` as {@link openStorage} takes it; without it the folder of the workspace. */
export interface RepositoryPlace {
  readonly storage?: string | undefined;
  /** Whose settings say how a bucket is reached; the active one by default. */
  readonly environment?: string | undefined;
}

/**
 * Opens the repository, gives it to `work`, and closes it.
 *
 * @throws ManageDbError `USAGE` for a storage that is none, and what `work` throws
 */
export async function withRepository<T>(
  { storage, environment }: RepositoryPlace,
  work: (repository: BackupRepository) => Promise<T>,
): Promise<T> {
  const { backupsDir } = await getWorkspace();
  if (storage === undefined) return work(folderRepository(backupsDir));
  return withStorage(storage, environment ?? currentEnv(), (open) => work(storageRepository(open, storage)));
}

/** @throws ManageDbError `USAGE` for a location that is none, and what `work` throws */
export async function withStorage<T>(
  location: string,
  environment: string,
  work: (storage: BackupStorage) => Promise<T>,
): Promise<T> {
  const { root } = await getWorkspace();
  const storage = await openStorage({ location, root, access: () => s3Access(environment) });
  try {
    return await work(storage);
  } finally {
    storage.close();
  }
}

async function s3Access(environment: string): Promise<S3Access> {
  const { accessKeyId, secretAccessKey, sessionToken, region, endpoint } = await readS3Settings(environment);
  const hasKey = accessKeyId !== null && secretAccessKey !== null;
  if (!hasKey && (accessKeyId ?? secretAccessKey) !== null) {
    // without it Amazon's rules would find another account, perhaps
    const missing = accessKeyId === null ? 'AWS_ACCESS_KEY_ID' : 'AWS_SECRET_ACCESS_KEY';
    throw new ManageDbError('INVALID_CONFIGURATION', `${missing} is not set, and the other half of the key is.`, {
      hint: `Set ${missing}, or neither of them.`,
    });
  }
  return {
    ...(hasKey ? { credentials: { accessKeyId, secretAccessKey, sessionToken: sessionToken ?? undefined } } : {}),
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
  };
}
