import { workspaceRoot } from '../core/workspace-root.js';
import { loadConfigFile } from './config-file.js';
import { LayerReader } from './layer-reader.js';
import { registerSecret } from './redaction.js';
import type { SettingName } from './setting-names.js';
import { layersOf } from './value-layers.js';

/** Who the backups of an environment are encrypted for, and what decrypts them; texts as they are set. */
export interface EncryptionSettings {
  /** `age1…`, several of them by line or comma. */
  readonly recipients: string | null;
  readonly passphrase: string | null;
  /** `AGE-SECRET-KEY-1…`, or the text of a file of them. */
  readonly identity: string | null;
}

/** How buckets are reached; what is not set is left to Amazon's own rules (profiles, roles of machines). */
export interface S3Settings {
  readonly accessKeyId: string | null;
  readonly secretAccessKey: string | null;
  readonly sessionToken: string | null;
  readonly region: string | null;
  readonly endpoint: string | null;
}

/**
 * `BACKUP_RECIPIENTS`, `BACKUP_PASSPHRASE` and `BACKUP_IDENTITY` of an environment, each also as `…_FILE` and `…_COMMAND`.
 *
 * @throws ManageDbError `UNREADABLE_FILE`, `INVALID_CONFIGURATION`, `SECRET_COMMAND_FAILED`
 * @example const { recipients } = await readEncryptionSettings('production');
 */
export async function readEncryptionSettings(environment: string): Promise<EncryptionSettings> {
  const read = await settingReaderOf(environment);
  const passphrase = await read('backupPassphrase');
  const identity = await read('backupIdentity');
  for (const secret of [passphrase, identity]) if (secret !== null) registerSecret(secret);
  return { recipients: await read('backupRecipients'), passphrase, identity };
}

/**
 * `AWS_ACCESS_KEY_ID` and its like, from the places that all settings may stand in.
 *
 * @throws ManageDbError `UNREADABLE_FILE`, `INVALID_CONFIGURATION`, `SECRET_COMMAND_FAILED`
 */
export async function readS3Settings(environment: string): Promise<S3Settings> {
  const read = await settingReaderOf(environment);
  return {
    accessKeyId: await read('s3AccessKeyId'),
    secretAccessKey: await read('s3SecretAccessKey'),
    sessionToken: await read('s3SessionToken'),
    region: await read('s3Region'),
    endpoint: await read('s3Endpoint'),
  };
}

/** Reads settings of an environment that decide nothing about which database is reached; `null` where one is not set. */
export async function settingReaderOf(environment: string): Promise<(setting: SettingName) => Promise<string | null>> {
  const root = workspaceRoot();
  const layers = layersOf(environment, root, await loadConfigFile(root));
  // none of these decides which database is reached
  const reader = new LayerReader(layers, { isProtected: false, root, mayRunCommands: true });
  return async (setting) => (await reader.read(setting))?.value || null;
}
