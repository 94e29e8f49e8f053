import { ManageDbError } from '../core/errors.js';
import { settingReaderOf } from './backup-settings.js';
import { registerSecret } from './redaction.js';

/** Bytes. A shorter one could be found by trying all. */
const SHORTEST_SALT = 16;

/**
 * The salt of masked copies of an environment: `MASKING_SALT`, also as `…_FILE` and `…_COMMAND`.
 *
 * @throws ManageDbError `MISSING_SETTING`, `INVALID_CONFIGURATION` below 16 bytes, `UNREADABLE_FILE`, `SECRET_COMMAND_FAILED`
 * @example const salt = await readMaskingSalt('production');
 */
export async function readMaskingSalt(environment: string): Promise<string> {
  const salt = (await (await settingReaderOf(environment))('maskingSalt'))?.trim() ?? '';
  const variable = `${environment.toUpperCase().replaceAll('-', '_')}_MASKING_SALT_FILE`;
  const hint = `Make one, keep it, and name its file in ${variable}: openssl rand -hex 32 > masking-salt`;
  if (salt === '') throw new ManageDbError('MISSING_SETTING', `${environment} has no salt for masking.`, { hint });
  registerSecret(salt);
  if (Buffer.byteLength(salt) >= SHORTEST_SALT) return salt;
  throw new ManageDbError(
    'INVALID_CONFIGURATION',
    `The salt for masking of ${environment} has ${Buffer.byteLength(salt)} bytes; ${SHORTEST_SALT} are the least.`,
    { hint },
  );
}
