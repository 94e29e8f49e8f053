/** Encryption of backups in the age format (https://age-encryption.org/v1): what the `age` command writes and reads. */
export { type DecryptWith, decryption } from './encryption/decryption.js';
export { type EncryptFor, encryption } from './encryption/encryption.js';
export { generateKeyPair, type KeyPair, keysInFile } from './encryption/keys.js';
