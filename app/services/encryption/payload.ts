import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { ManageDbError } from '../../core/errors.js';

export const PAYLOAD_NONCE_BYTES = 16;

const CHUNK_BYTES = 64 * 1024;
const TAG_BYTES = 16;
const CIPHER = 'chacha20-poly1305';

/** Turns a stream into chunks, one at a time: what it holds is never more than one of them. */
export interface Payload {
  /** What the bytes complete; the last chunk is held back, since only its end shows that it is the last. */
  readonly update: (bytes: Uint8Array) => Buffer[];
  readonly end: () => Buffer;
}

/**
 * Encrypts the payload of an age file: chunks of 64 KiB, each authenticated with its number and with whether it is the
 * last. With Node's cipher instead of the package's, since it is 17 times as fast: 2 GB/s against 0.12.
 */
export function sealPayload(fileKey: Uint8Array, nonce: Uint8Array): Payload {
  const key = payloadKey(fileKey, nonce);
  return inChunks(CHUNK_BYTES, (chunk, chunkNonce) => {
    const cipher = createCipheriv(CIPHER, key, chunkNonce, { authTagLength: TAG_BYTES });
    return Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
  });
}

/**
 * Decrypts the payload of an age file.
 *
 * @throws ManageDbError `BACKUP_INVALID` at the chunk that was changed, or at the end where something is missing or
 *   was appended
 */
export function openPayload(fileKey: Uint8Array, nonce: Uint8Array): Payload {
  const key = payloadKey(fileKey, nonce);
  return inChunks(CHUNK_BYTES + TAG_BYTES, (chunk, chunkNonce, place) => {
    const textBytes = chunk.length - TAG_BYTES;
    // only an empty file ends with an empty chunk
    if (textBytes < 0 || (textBytes === 0 && place.number > 0)) throw damaged(place);
    const decipher = createDecipheriv(CIPHER, key, chunkNonce, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(chunk.subarray(textBytes));
    const text = decipher.update(chunk.subarray(0, textBytes));
    try {
      decipher.final();
    } catch (error) {
      throw damaged(place, error);
    }
    return text;
  });
}

interface Place {
  readonly number: number;
  readonly isLast: boolean;
}

function inChunks(size: number, convert: (chunk: Buffer, nonce: Buffer, place: Place) => Buffer): Payload {
  const held = Buffer.alloc(size);
  let used = 0;
  let number = 0;
  const next = (isLast: boolean): Buffer => {
    const nonce = Buffer.alloc(12);
    nonce.writeUIntBE(number, 5, 6);
    nonce[11] = isLast ? 1 : 0;
    const converted = convert(held.subarray(0, used), nonce, { number, isLast });
    used = 0;
    number += 1;
    return converted;
  };
  return {
    update(bytes) {
      const completed: Buffer[] = [];
      let rest = bytes;
      while (rest.length > 0) {
        if (used === size) completed.push(next(false));
        const taken = rest.subarray(0, size - used);
        held.set(taken, used);
        used += taken.length;
        rest = rest.subarray(taken.length);
      }
      return completed;
    },
    end: () => next(true),
  };
}

function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', fileKey, nonce, 'payload', 32));
}

function damaged({ number, isLast }: Place, cause?: unknown): ManageDbError {
  const message = isLast
    ? 'The encrypted data is damaged in its last part: it was changed or cut off, or something was appended to it.'
    : `The encrypted data is damaged: it was changed between bytes ${number * CHUNK_BYTES} and ${(number + 1) * CHUNK_BYTES}.`;
  return new ManageDbError('BACKUP_INVALID', message, { hint: 'Use another copy of the file.', cause });
}
