import { Readable, type Transform } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { encryption, generateKeyPair } from '../../../../services/encryption.js';
import { type AskPassphrase, type Encrypt, recipientsFor } from './keys.js';

/** What an encrypted file's name ends in. */
export const ENCRYPTED_SUFFIX = '.age';

/** Holds the identity that the other files of a backup are encrypted for, encrypted with the passphrase. */
export const KEY_FILE = 'key.age';

/** How the files of one backup are encrypted. */
export interface Sealing {
  /** For one file. */
  readonly stream: () => Promise<Transform>;
  /** The content of {@link KEY_FILE}; `null` where nothing but the recipients' own identities opens the files. */
  readonly keyFile: Buffer | null;
  /** One that opens the files while this process lives, to prove the backup. */
  readonly identity: string;
}

export interface EncryptWish {
  readonly environment: string;
  readonly encrypt: Encrypt;
  readonly askPassphrase?: AskPassphrase | undefined;
  /** Whether this process has to open what it has encrypted. */
  readonly isProven: boolean;
}

/**
 * Prepares the encryption of one backup. Recipients get every file encrypted for themselves. Stretching a passphrase takes
 * a second for each file, so that the files are encrypted for a new key pair, and only its identity with the passphrase.
 *
 * @throws ManageDbError `USAGE` for a recipient that is none, an empty passphrase, or when nothing says for whom
 */
export async function newSealing({ environment, encrypt, askPassphrase, isProven }: EncryptWish): Promise<Sealing> {
  const wish = encrypt === true ? await recipientsFor(environment, askPassphrase) : encrypt;
  const { identity, recipient } = await generateKeyPair();
  const recipients = 'passphrase' in wish ? [recipient] : [...wish.recipients, ...(isProven ? [recipient] : [])];
  const stream = (): Promise<Transform> => encryption({ recipients });
  if (!('passphrase' in wish)) {
    // before anything is dumped, so that a wrong recipient costs nothing
    (await encryption(wish)).destroy();
    return { stream, keyFile: null, identity };
  }
  const text = Readable.from([Buffer.from(`${identity}\n`)]);
  return { stream, keyFile: await buffer(text.pipe(await encryption(wish))), identity };
}
