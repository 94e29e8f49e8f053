import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { codeOf, ManageDbError, messageOf } from '../core/errors.js';

/** Where a value really stands, when it is not written out. */
export type SecretReference = { readonly file: string } | { readonly command: string };

const COMMAND_TIMEOUT_MS = 15_000;

/**
 * Fetches a value from a mounted secret (`NAME_FILE`) or a secret manager's command (`NAME_COMMAND`). One trailing line
 * end is dropped.
 *
 * @param name the variable, for the error.
 * @param root the workspace: relative files are found from there, and commands run there.
 * @throws ManageDbError `UNREADABLE_FILE`, `SECRET_COMMAND_FAILED`
 * @example await fetchSecret({ file: '/run/secrets/production-url' }, 'PRODUCTION_DATABASE_URL_FILE', root)
 */
export async function fetchSecret(reference: SecretReference, name: string, root: string): Promise<string> {
  const text =
    'file' in reference ? await fromFile(reference.file, name, root) : await fromCommand(reference.command, name, root);
  const value = text.replace(/\r?\n$/, '');
  if (value === '') {
    throw new ManageDbError('MISSING_SETTING', `${name} gives an empty value.`, {
      hint: `Check what ${name} points to.`,
    });
  }
  return value;
}

async function fromFile(file: string, name: string, root: string): Promise<string> {
  const path = isAbsolute(file) ? file : join(root, file);
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new ManageDbError('UNREADABLE_FILE', `The file that ${name} names cannot be read: ${messageOf(error)}.`, {
      hint: `Check the path and its permissions: ls -l ${path}`,
      cause: error,
    });
  }
}

async function fromCommand(command: string, name: string, root: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], {
      cwd: root,
      timeout: COMMAND_TIMEOUT_MS,
      maxBuffer: 1024 * 1024,
    });
    return stdout;
  } catch (error) {
    // the error's own message repeats the command and its output, either of which may hold the secret
    const killed = typeof error === 'object' && error !== null && 'killed' in error && error.killed === true;
    const why = killed
      ? `did not answer within ${COMMAND_TIMEOUT_MS / 1000} s`
      : `failed (${codeOf(error) ?? exitStatus(error)})`;
    throw new ManageDbError('SECRET_COMMAND_FAILED', `The command of ${name} ${why}.`, {
      hint: `Run it by hand in ${root} to see what it says.`,
    });
  }
}

function exitStatus(error: unknown): string {
  const status = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return status === undefined || status === null ? 'killed' : `exit status ${String(status)}`;
}
