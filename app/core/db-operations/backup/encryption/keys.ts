import { readEncryptionSettings } from '../../../../config/backup-settings.js';
import { type DecryptWith, type EncryptFor, keysInFile } from '../../../../services/encryption.js';
import { ManageDbError } from '../../../errors.js';
import type { Manifest } from '../../manifest/manifest.js';

/** `true`: for whom, the settings of the environment say, or somebody who is asked. */
export type Encrypt = EncryptFor | true;

/** Asks a person for a passphrase: a new one, or the one that a backup was encrypted with. */
export type AskPassphrase = (which: 'new' | 'known') => Promise<string>;

/** What may decrypt a backup; where nothing is given, the settings of its environment, or somebody who is asked. */
export interface DecryptOptions {
  /** `AGE-SECRET-KEY-1…` */
  readonly identities?: readonly string[] | undefined;
  readonly passphrase?: string | undefined;
  readonly askPassphrase?: AskPassphrase | undefined;
}

/**
 * Who shall be able to decrypt the backups of an environment: what is set for it, or what somebody says who is asked.
 *
 * @throws ManageDbError `USAGE` where there is nothing, and what reading the settings throws
 */
export async function recipientsFor(
  environment: string,
  askPassphrase: AskPassphrase | undefined,
): Promise<EncryptFor> {
  const { recipients, passphrase } = await readEncryptionSettings(environment);
  if (recipients !== null) return { recipients: recipientsIn(recipients) };
  if (passphrase !== null) return { passphrase };
  if (askPassphrase !== undefined) return { passphrase: await askPassphrase('new') };
  throw new ManageDbError('USAGE', 'Nothing says who shall be able to decrypt the backup.', {
    hint: 'Give --recipient age1… or --passphrase-file FILE, or set BACKUP_RECIPIENTS or BACKUP_PASSPHRASE_FILE.',
  });
}

/**
 * What decrypts a backup: what was given, what is set for its environment, or what somebody says who is asked.
 *
 * @throws ManageDbError `DECRYPTION_FAILED` where there is nothing, and what reading the settings throws
 */
export async function keysFor(
  { id, environment }: Manifest,
  { identities, passphrase, askPassphrase }: DecryptOptions,
  { isByPassphrase }: { readonly isByPassphrase: boolean },
): Promise<DecryptWith> {
  if (isByPassphrase && passphrase !== undefined) return { passphrase };
  if (identities !== undefined && identities.length > 0) return { identities };
  const set = await readEncryptionSettings(environment);
  if (isByPassphrase && set.passphrase !== null) return { passphrase: set.passphrase };
  if (!isByPassphrase && set.identity !== null) return { identities: identitiesIn(set.identity) };
  if (isByPassphrase && askPassphrase !== undefined) return { passphrase: await askPassphrase('known') };
  const [what, hint] = isByPassphrase
    ? ['a passphrase', 'Give it by --passphrase-file FILE, or set BACKUP_PASSPHRASE_FILE.']
    : ['an identity', 'Give it by --identity-file FILE, or set BACKUP_IDENTITY_FILE.'];
  throw new ManageDbError('DECRYPTION_FAILED', `Backup ${id} is encrypted: ${what} decrypts it, and there is none.`, {
    hint,
  });
}

/** The identities in a text: one a line, without comments. */
export function identitiesIn(text: string): string[] {
  return [...keysInFile(text)];
}

/** The recipients in a text: one a line, or several with commas. */
export function recipientsIn(text: string): string[] {
  return keysInFile(text).flatMap((line) => keysInFile(line.replaceAll(',', '\n')));
}
