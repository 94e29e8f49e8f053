import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import type { Identity, Recipient, Stanza } from 'age-encryption';

/** The type of the stanza that a passphrase stands in. */
export const PASSPHRASE_STANZA = 'scrypt';

/** The base-2 logarithm of scrypt's cost; what the `age` command takes. About a second, 256 MB. */
const WORK_FACTOR = 18;

/** A file that asks for more (1 GB) was made to exhaust the one who opens it. */
const HIGHEST_WORK_FACTOR = 20;

const BLOCK_SIZE = 8;
const FILE_KEY_BYTES = 16;
const TAG_BYTES = 16;
const SALT_BYTES = 16;

/** The file key of every header is wrapped with a key of its own: the nonce has nothing to tell apart. */
const NONCE = Buffer.alloc(12);

/**
 * The recipient that a passphrase is. The package has one too, which keeps the whole program waiting for as long as
 * scrypt takes in JavaScript, two seconds a file; Node's runs in another thread, in half of that.
 */
export function passphraseRecipient(passphrase: string, stanza: typeof Stanza): Recipient {
  return {
    async wrapFileKey(fileKey) {
      const salt = randomBytes(SALT_BYTES);
      const cipher = createCipheriv('chacha20-poly1305', await wrappingKey(passphrase, salt, WORK_FACTOR), NONCE, {
        authTagLength: TAG_BYTES,
      });
      const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
      return [new stanza([PASSPHRASE_STANZA, unpadded(salt), String(WORK_FACTOR)], body)];
    },
  };
}

/** The identity that a passphrase is. */
export function passphraseIdentity(passphrase: string): Identity {
  return {
    async unwrapFileKey(stanzas) {
      const found = stanzas.find(({ args }) => args[0] === PASSPHRASE_STANZA);
      if (found === undefined) return null;
      // else whoever knows the passphrase could be shown what somebody else has encrypted
      if (stanzas.length > 1) throw new Error('a passphrase stands beside other recipients');
      const [, salt = '', factor = ''] = found.args;
      const saltBytes = Buffer.from(salt, 'base64');
      if (saltBytes.length !== SALT_BYTES || !/^[1-9][0-9]?$/.test(factor) || found.body.length !== 32) {
        throw new Error('invalid scrypt stanza');
      }
      if (Number(factor) > HIGHEST_WORK_FACTOR) throw new Error(`scrypt's work factor ${factor} is too high`);
      return unwrap(Buffer.from(found.body), await wrappingKey(passphrase, saltBytes, Number(factor)));
    },
  };
}

function unwrap(body: Buffer, key: Buffer): Uint8Array | null {
  const decipher = createDecipheriv('chacha20-poly1305', key, NONCE, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(body.subarray(FILE_KEY_BYTES));
  const fileKey = decipher.update(body.subarray(0, FILE_KEY_BYTES));
  try {
    decipher.final();
    return fileKey;
  } catch {
    return null;
  }
}

function wrappingKey(passphrase: string, salt: Buffer, workFactor: number): Promise<Buffer> {
  const cost = 2 ** workFactor;
  const label = Buffer.concat([Buffer.from('age-encryption.org/v1/scrypt'), salt]);
  const options = { N: cost, r: BLOCK_SIZE, p: 1, maxmem: 128 * BLOCK_SIZE * (cost + 8) };
  return new Promise((resolve, reject) => {
    scrypt(passphrase, label, 32, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
