import { readFileSync } from 'node:fs';
import type { Argv } from 'yargs';
import type { DecryptOptions, Encrypt } from '../app/core/db-operations/backup/encryption/keys.js';
import { ManageDbError, messageOf } from '../app/core/errors.js';
import type { CommandContext } from './command.js';

export interface StorageArgs {
  readonly storage?: string;
}

export interface EncryptArgs {
  readonly encrypt?: boolean;
  readonly recipient?: readonly string[];
  readonly recipientsFile?: string;
  readonly passphraseFile?: string;
}

export interface DecryptArgs {
  readonly identityFile?: string;
  readonly passphraseFile?: string;
}

/** Of every command that finds backups. */
export function storageFlag(yargs: Argv): Argv {
  return yargs.option('storage', {
    type: 'string',
    requiresArg: true,
    describe: 'Where the backups lie instead of the workspace: s3://bucket/prefix, or a folder',
  });
}

export function encryptFlags(yargs: Argv): Argv {
  return yargs
    .option('encrypt', {
      type: 'boolean',
      describe:
        'Encrypt it (age): for --recipient, BACKUP_RECIPIENTS, or a passphrase, which is asked for at a terminal',
    })
    .option('recipient', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Encrypt it for whoever has the identity of age1…; repeatable',
    })
    .option('recipients-file', {
      type: 'string',
      requiresArg: true,
      describe: 'Encrypt it for the recipients in this file',
    })
    .option('passphrase-file', {
      type: 'string',
      requiresArg: true,
      describe: 'Encrypt it with the passphrase in this file',
    });
}

export function decryptFlags(yargs: Argv): Argv {
  return yargs
    .option('identity-file', {
      type: 'string',
      requiresArg: true,
      describe: 'Decrypt it with the identity in this file (AGE-SECRET-KEY-1…), or set BACKUP_IDENTITY_FILE',
    })
    .option('passphrase-file', {
      type: 'string',
      requiresArg: true,
      describe: 'Decrypt it with the passphrase in this file, or set BACKUP_PASSPHRASE_FILE',
    });
}

/**
 * For whom a backup is encrypted; `undefined`: it is not.
 *
 * @throws ManageDbError `USAGE`, `UNREADABLE_FILE`
 */
export async function encryptOf(args: EncryptArgs): Promise<Encrypt | undefined> {
  const { encrypt, recipient, recipientsFile, passphraseFile } = args;
  const { recipientsIn } = await import('../app/core/db-operations/backup/encryption/keys.js');
  const isForRecipients = recipient !== undefined || recipientsFile !== undefined;
  if (!isForRecipients && passphraseFile === undefined) return encrypt ? true : undefined;
  const refuse = (message: string) =>
    new ManageDbError('USAGE', message, { hint: 'See: manage_db create-backup --help' });
  if (encrypt === false) throw refuse('Either --no-encrypt, or somebody to encrypt it for.');
  if (isForRecipients && passphraseFile !== undefined) {
    throw refuse('A backup is encrypted for recipients or with a passphrase, not both.');
  }
  if (passphraseFile !== undefined) return { passphrase: passphraseIn(passphraseFile) };
  const inFile = recipientsFile === undefined ? [] : recipientsIn(textOf(recipientsFile));
  return { recipients: [...(recipient ?? []), ...inFile] };
}

/** @throws ManageDbError `UNREADABLE_FILE` */
export async function decryptOf(
  { identityFile, passphraseFile }: DecryptArgs,
  { askPassphrase }: CommandContext,
): Promise<DecryptOptions> {
  const { identitiesIn } = await import('../app/core/db-operations/backup/encryption/keys.js');
  return {
    identities: identityFile === undefined ? undefined : identitiesIn(textOf(identityFile)),
    passphrase: passphraseFile === undefined ? undefined : passphraseIn(passphraseFile),
    askPassphrase,
  };
}

/** The first line: editors end it. */
function passphraseIn(path: string): string {
  return textOf(path).replace(/\r?\n[\s\S]*$/, '');
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `${path} cannot be read: ${messageOf(error)}. Nothing was done.`, {
      hint: `Check the path and its permissions: ls -l ${path}`,
      cause: error,
    });
  }
}
