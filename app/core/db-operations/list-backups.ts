import { normalizeEnv } from '../environment-names.js';
import { withRepository } from './backup/repository/open-repository.js';
import { type BackupSummary, newestFirst } from './backup/repository/summary.js';

export interface ListBackupsOptions {
  /** One environment instead of all of them. */
  readonly env?: string;
  /** In a storage instead of the workspace: `s3://bucket/prefix`, or a folder. */
  readonly storage?: string | undefined;
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The backups of the workspace or of a storage, the newest first, from every environment unless `env` names one. Reads
 * manifests and sizes, not the dumps: `damaged` is what shows without reading them.
 *
 * @throws ManageDbError `UNKNOWN_ENVIRONMENT`, `USAGE` for a storage that is none, `STORAGE_FAILED`, `INTERRUPTED`
 * @example const [latest] = await listBackups({ env: 'production' });
 */
export async function listBackups({ env, storage, signal }: ListBackupsOptions = {}): Promise<BackupSummary[]> {
  return withRepository({ storage, environment: env }, async (repository) => {
    const environments = env === undefined ? await repository.environments(signal) : [normalizeEnv(env)];
    const lists = await Promise.all(environments.map((environment) => repository.backupsOf(environment, signal)));
    return lists.flat().sort(newestFirst);
  });
}
