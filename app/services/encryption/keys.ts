import { registerSecret } from '../../config/redaction.js';

export interface KeyPair {
  /** `AGE-SECRET-KEY-1…`: whoever has it can decrypt. */
  readonly identity: string;
  /** `age1…`: whoever has it can encrypt; no secret. */
  readonly recipient: string;
}

/**
 * A new identity and its recipient, as `age-keygen` makes them.
 *
 * @example const { identity, recipient } = await generateKeyPair();
 */
export async function generateKeyPair(): Promise<KeyPair> {
  const { generateX25519Identity, identityToRecipient } = await import('age-encryption');
  const identity = await generateX25519Identity();
  registerSecret(identity);
  return { identity, recipient: await identityToRecipient(identity) };
}

/**
 * The recipients or identities in the text of a file of age's: one a line; empty lines and `#` comments say nothing.
 *
 * @example keysInFile(await readFile('backup-recipients.txt', 'utf8')) // ['age1…', 'age1…']
 */
export function keysInFile(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}
