import { createHash } from 'node:crypto';
import { mayCreateDatabases } from '../../../database/catalog/create-right.js';
import type { Queryable } from '../../../database/queryable.js';
import { PermissionError } from '../../errors.js';
import { manifestText } from '../manifest/manifest.js';
import { type DeepVerification, verifyDeep } from './deep-verify.js';
import { type Opening, withOpenBackup } from './encryption/opening.js';
import type { Verification } from './verification.js';

export interface Proof extends Omit<DeepVerification, 'folder' | 'manifest' | 'controls'> {
  readonly opening: Opening;
}

/**
 * Shows that a backup which is just being completed restores, and returns what its record says of that.
 *
 * @throws ManageDbError what `withOpenBackup` and `verifyDeep` throw
 */
export async function proveBackup({ opening, ...server }: Proof): Promise<Verification> {
  const { manifest, controls } = opening;
  return withOpenBackup(opening, async (folder) => {
    const files = { at: new Date().toISOString(), tool: manifest.toolVersion };
    await verifyDeep({ ...server, folder, manifest, controls });
    return {
      manifestSha256: createHash('sha256').update(manifestText(manifest)).digest('hex'),
      files,
      deep: { at: new Date().toISOString(), tool: manifest.toolVersion, server: manifest.serverVersion },
    };
  });
}

/**
 * Asks before the dump what the proof will need after it.
 *
 * @throws ManageDbError `PERMISSION_DENIED`
 */
export async function requireScratchDatabases(db: Queryable): Promise<void> {
  if (await mayCreateDatabases(db)) return;
  throw new PermissionError('The login may not create the scratch database that --prove restores into.', {
    hint: 'As a superuser: alter role <login> createdb. Or leave out --prove.',
  });
}
