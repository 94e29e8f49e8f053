import { createHash } from 'node:crypto';
import { ManageDbError } from '../../core/errors.js';
import type { Written } from './storage.js';

export interface Expected {
  readonly sizeBytes: number;
  readonly sha256s: readonly string[];
}

/**
 * What `content` gives, and an error in place of its end where that was not what was expected. `name` is for messages.
 *
 * @throws ManageDbError `BACKUP_INVALID`
 */
export async function* verified(
  content: AsyncIterable<Buffer>,
  { sizeBytes, sha256s }: Expected,
  name: string,
): AsyncGenerator<Buffer, void, undefined> {
  const measure = measuring();
  for await (const bytes of content) {
    measure.update(bytes);
    yield bytes;
  }
  const found = measure.end();
  if (found.sizeBytes !== sizeBytes) {
    throw invalid(`${name} has ${found.sizeBytes} bytes instead of ${sizeBytes}.`);
  }
  if (sha256s.some((sha256) => sha256 !== found.sha256)) throw invalid(`${name} does not match its checksum.`);
}

/** @throws ManageDbError `BACKUP_INVALID` when the content that was to be written to `name` is not the one announced */
export function verifyWritten({ sha256 }: Written, expected: string | undefined, name: string): void {
  if (expected === undefined || expected === sha256) return;
  throw new ManageDbError(
    'BACKUP_INVALID',
    `What was to be stored as ${name} does not match its checksum. Nothing was stored.`,
    {
      hint: 'Its source was changed or damaged after its checksum was computed.',
    },
  );
}

/** Counts and hashes what passes. */
export function measuring(): { readonly update: (bytes: Uint8Array) => void; readonly end: () => Written } {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  return {
    update(bytes) {
      hash.update(bytes);
      sizeBytes += bytes.length;
    },
    end: () => ({ sizeBytes, sha256: hash.digest('hex') }),
  };
}

function invalid(message: string): ManageDbError {
  return new ManageDbError('BACKUP_INVALID', message, {
    hint: 'The storage has lost or changed something of it: use another backup.',
  });
}
