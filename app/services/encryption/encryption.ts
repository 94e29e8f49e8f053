import { randomBytes } from 'node:crypto';
import { Transform } from 'node:stream';
import type { Encrypter, Recipient } from 'age-encryption';
import { registerSecret } from '../../config/redaction.js';
import { ManageDbError } from '../../core/errors.js';
import { passphraseRecipient } from './passphrase.js';
import { PAYLOAD_NONCE_BYTES, sealPayload } from './payload.js';

/** Who shall be able to decrypt: everyone with the identity of one of these recipients (`age1…`), or with the passphrase. */
export type EncryptFor = { readonly recipients: readonly string[] } | { readonly passphrase: string };

/** What `Encrypter` puts behind the header of an empty file: a nonce, and the tag of an empty chunk. */
const EMPTY_PAYLOAD_BYTES = PAYLOAD_NONCE_BYTES + 16;

/**
 * A stream that encrypts what is written to it, as a file that `age --decrypt` opens. It holds 64 KiB at a time.
 * A passphrase takes a second and 256 MB for each file; where there are many, encrypt them for the recipient of a
 * new key pair, and only its identity with the passphrase.
 *
 * @throws ManageDbError `USAGE` for a recipient that is none, or an empty passphrase
 * @example await pipeline(createReadStream('clinic.dump'), await encryption({ recipients: ['age1…'] }), output);
 */
export async function encryption(to: EncryptFor): Promise<Transform> {
  const { header, fileKey } = await newHeader(to);
  const nonce = randomBytes(PAYLOAD_NONCE_BYTES);
  const payload = sealPayload(fileKey, nonce);
  const stream = new Transform({
    transform(bytes: Uint8Array, _encoding, done) {
      for (const chunk of payload.update(bytes)) this.push(chunk);
      done();
    },
    flush(done) {
      done(null, payload.end());
    },
  });
  stream.push(Buffer.concat([header, nonce]));
  return stream;
}

/** The package makes headers only together with a payload: the one of nothing is cut off again, and its key kept. */
async function newHeader(to: EncryptFor): Promise<{ header: Uint8Array; fileKey: Uint8Array }> {
  const { Encrypter, Stanza } = await import('age-encryption');
  const encrypter = new Encrypter();
  let fileKey = new Uint8Array();
  const listener: Recipient = {
    wrapFileKey(key) {
      fileKey = Uint8Array.from(key);
      return [];
    },
  };
  encrypter.addRecipient(listener);
  if ('passphrase' in to) encrypter.addRecipient(passphraseRecipient(checkedPassphrase(to.passphrase), Stanza));
  else addRecipients(encrypter, to.recipients);
  const file = await encrypter.encrypt(new Uint8Array());
  return { header: file.subarray(0, -EMPTY_PAYLOAD_BYTES), fileKey };
}

function checkedPassphrase(passphrase: string): string {
  if (passphrase === '') throw new ManageDbError('USAGE', 'The passphrase is empty. Nothing was encrypted.');
  registerSecret(passphrase);
  return passphrase;
}

function addRecipients(encrypter: Encrypter, recipients: readonly string[]): void {
  if (recipients.length === 0) {
    throw new ManageDbError('USAGE', 'There is no recipient to encrypt for. Nothing was encrypted.', {
      hint: 'Give at least one (age1…); age-keygen makes a new one.',
    });
  }
  for (const [index, recipient] of recipients.entries()) {
    try {
      encrypter.addRecipient(recipient);
    } catch {
      throw notARecipient(recipient, index);
    }
  }
}

/** Without showing it, nor the package's error, which does: what somebody takes for a recipient may be a secret. */
function notARecipient(text: string, index: number): ManageDbError {
  const what = /^AGE-SECRET-KEY-/i.test(text)
    ? 'is an identity, which decrypts, and must be kept secret'
    : text.startsWith('ssh-')
      ? 'is a key of SSH, which is not supported'
      : 'is no recipient of age, or was not copied whole';
  return new ManageDbError('USAGE', `Recipient ${index + 1} ${what}. Nothing was encrypted.`, {
    hint: 'A recipient begins with age1; age-keygen -y shows the one of an identity.',
  });
}
