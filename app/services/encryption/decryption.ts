import { Transform } from 'node:stream';
import type { Decrypter } from 'age-encryption';
import { registerSecret } from '../../config/redaction.js';
import { ManageDbError, messageOf } from '../../core/errors.js';
import { PASSPHRASE_STANZA, passphraseIdentity } from './passphrase.js';
import { openPayload, PAYLOAD_NONCE_BYTES, type Payload } from './payload.js';

/** What may decrypt: each is tried. */
export interface DecryptWith {
  /** `AGE-SECRET-KEY-1…` */
  readonly identities?: readonly string[];
  readonly passphrase?: string;
}

const FIRST_LINE = 'age-encryption.org/v1\n';
const LAST_LINE = /\n--- [A-Za-z0-9+/]{43}\n/;

/** Room for hundreds of recipients. A file without an end of its header must not fill the memory. */
const LONGEST_HEADER = 1 << 20;

/**
 * A stream that decrypts an age file written to it. It holds 64 KiB at a time, so what it gives is authentic, but it is
 * all of it only when the stream has ended without an error: until then nothing must count.
 *
 * It fails with `DECRYPTION_FAILED` when nothing in `using` opens the file, and with `BACKUP_INVALID` when the file was
 * changed or cut off, something was appended to it, or it is no age file.
 *
 * @throws ManageDbError `USAGE` for an identity that is none, or when there is nothing to decrypt with
 * @example await pipeline(input, await decryption({ identities: ['AGE-SECRET-KEY-1…'] }), output);
 */
export async function decryption(using: DecryptWith): Promise<Transform> {
  const decrypter = await newDecrypter(using);
  let beginning: Buffer | null = Buffer.alloc(0);
  let payload: Payload | null = null;
  const take = async (stream: Transform, bytes: Uint8Array): Promise<void> => {
    let rest = bytes;
    if (beginning !== null) {
      beginning = Buffer.concat([beginning, bytes]);
      const headerBytes = headerLength(beginning);
      if (headerBytes === null || beginning.length < headerBytes + PAYLOAD_NONCE_BYTES) return;
      const fileKey = await openHeader(decrypter, beginning.subarray(0, headerBytes), using);
      payload = openPayload(fileKey, beginning.subarray(headerBytes, headerBytes + PAYLOAD_NONCE_BYTES));
      rest = beginning.subarray(headerBytes + PAYLOAD_NONCE_BYTES);
      beginning = null;
    }
    for (const chunk of payload?.update(rest) ?? []) stream.push(chunk);
  };
  return new Transform({
    transform(bytes: Uint8Array, _encoding, done) {
      take(this, bytes).then(() => done(), done);
    },
    flush(done) {
      try {
        if (payload === null) throw notAgeFile('it ends before its header does');
        done(null, payload.end());
      } catch (error) {
        done(error instanceof Error ? error : new Error(messageOf(error)));
      }
    },
  });
}

async function newDecrypter({ identities = [], passphrase }: DecryptWith): Promise<Decrypter> {
  const { Decrypter } = await import('age-encryption');
  const decrypter = new Decrypter();
  if (passphrase !== undefined) {
    registerSecret(passphrase);
    decrypter.addIdentity(passphraseIdentity(passphrase));
  }
  for (const [index, identity] of identities.entries()) {
    registerSecret(identity);
    try {
      decrypter.addIdentity(identity);
    } catch {
      // the package's error shows the identity
      throw new ManageDbError('USAGE', `Identity ${index + 1} is no identity of age, or was not copied whole.`, {
        hint: 'An identity begins with AGE-SECRET-KEY-1. Lines of a file that begin with # are comments.',
      });
    }
  }
  if (passphrase === undefined && identities.length === 0) {
    throw new ManageDbError('USAGE', 'There is neither an identity nor a passphrase to decrypt with.');
  }
  return decrypter;
}

/** Bytes of the header, or `null` while its end has not come. */
function headerLength(beginning: Buffer): number | null {
  const text = beginning.toString('latin1', 0, LONGEST_HEADER);
  if (!text.startsWith(FIRST_LINE.slice(0, text.length))) {
    throw notAgeFile(text.startsWith('-----BEGIN AGE') ? 'it is armored (decode it with age)' : 'it begins otherwise');
  }
  const end = LAST_LINE.exec(text);
  if (end !== null) return end.index + end[0].length;
  if (text.length === LONGEST_HEADER) throw notAgeFile('its header has no end');
  return null;
}

async function openHeader(decrypter: Decrypter, header: Buffer, using: DecryptWith): Promise<Uint8Array> {
  try {
    return await decrypter.decryptHeader(header);
  } catch (error) {
    // the package has no classes for its errors
    if (messageOf(error).startsWith('no identity matched')) throw notForUs(header, using, error);
    throw notAgeFile(`its header is damaged: ${messageOf(error)}`, error);
  }
}

function notForUs(header: Buffer, { identities = [], passphrase }: DecryptWith, cause: unknown): ManageDbError {
  const stanzas = [...header.toString('latin1').matchAll(/^-> (\S+)/gm)].map(([, type]) => type);
  const message = stanzas.includes(PASSPHRASE_STANZA)
    ? passphrase === undefined
      ? 'It is encrypted with a passphrase, and none was given.'
      : 'The passphrase is wrong.'
    : identities.length === 0
      ? 'It is encrypted for recipients: an identity decrypts it, not a passphrase.'
      : `None of the identities (${identities.length}) belongs to one of the recipients (${stanzas.length}) that it is encrypted for.`;
  return new ManageDbError('DECRYPTION_FAILED', `The file cannot be decrypted. ${message}`, {
    hint: 'Give the passphrase or an identity that was meant when it was encrypted.',
    cause,
  });
}

function notAgeFile(why: string, cause?: unknown): ManageDbError {
  return new ManageDbError('BACKUP_INVALID', `The file is not encrypted in the age format, or is damaged: ${why}.`, {
    hint: 'Use another copy of the file.',
    cause,
  });
}
