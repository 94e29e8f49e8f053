import { resolve } from 'node:path';
import { ManageDbError } from '../../core/errors.js';
import { folderStorage } from './folder-storage.js';
import { type S3StorageOptions, s3Storage } from './s3-storage.js';
import type { BackupStorage } from './storage.js';

/** What is not in a location: how its bucket is reached. */
export type S3Access = Pick<S3StorageOptions, 'credentials' | 'region' | 'endpoint'>;

export interface StoragePlace {
  /** `s3://bucket/prefix`, with `?endpoint=…&region=…&path-style=true` where it needs them, or a folder. */
  readonly location: string;
  /** What a relative folder is below of. */
  readonly root: string;
  /** Asked only where the location is a bucket. */
  readonly access: () => Promise<S3Access>;
}

/**
 * The storage at a location.
 *
 * @throws ManageDbError `USAGE` for a location that is none
 * @example await openStorage({ location: 's3://clinic-backups/db1?region=eu-central-1', root, access: async () => ({}) });
 */
export async function openStorage({ location, root, access }: StoragePlace): Promise<BackupStorage> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(location)?.[1]?.toLowerCase();
  if (scheme === 's3') return s3Storage({ ...(await access()), ...parseBucket(location) });
  if (scheme !== undefined) {
    throw refused(`A storage is a folder or s3://bucket/prefix, not ${scheme}://….`);
  }
  if (location.trim() === '' || location.includes('\0')) throw refused('A storage is a folder or s3://bucket/prefix.');
  return folderStorage(resolve(root, location));
}

/** By hand where `URL` would lower the case of the bucket, or hide that there is a password. */
function parseBucket(
  location: string,
): Pick<S3StorageOptions, 'bucket' | 'prefix' | 'endpoint' | 'region' | 'pathStyle'> {
  const [, place = '', query = ''] = /^s3:\/\/([^?]*)(?:\?(.*))?$/is.exec(location) ?? [];
  const [bucket = '', ...prefix] = place.split('/');
  const parameters = new URLSearchParams(query);
  if (bucket.includes('@') || bucket.includes(':') || hasLogin(parameters.get('endpoint'))) {
    throw refused('A location of a storage has no user and no password in it.', {
      hint: 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the environment or in .env, or AWS_PROFILE.',
    });
  }
  const unknown = [...parameters.keys()].find((name) => !PARAMETERS.includes(name));
  if (unknown !== undefined) throw refused(`A location of a storage takes ${PARAMETERS.join(', ')}, not ${unknown}.`);
  const [endpoint, region, pathStyle] = PARAMETERS.map((name) => parameters.get(name));
  if (pathStyle && !['true', 'false'].includes(pathStyle))
    throw refused(`path-style is true or false, not ${pathStyle}.`);
  return {
    bucket,
    prefix: prefix.join('/'),
    ...(endpoint ? { endpoint } : {}),
    ...(region ? { region } : {}),
    ...(pathStyle ? { pathStyle: pathStyle === 'true' } : {}),
  };
}

function hasLogin(endpoint: string | null): boolean {
  if (endpoint === null || !URL.canParse(endpoint)) return false;
  const { username, password } = new URL(endpoint);
  return username !== '' || password !== '';
}

const PARAMETERS = ['endpoint', 'region', 'path-style'];

function refused(message: string, { hint = 'For instance: --storage s3://clinic-backups/db1' } = {}): ManageDbError {
  return new ManageDbError('USAGE', `${message} Nothing was read or written.`, { hint });
}
