import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
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
  // a group of its own, so that what the shell has started ends with it
  const child = spawn('/bin/sh', ['-c', command], { cwd: root, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, COMMAND_TIMEOUT_MS);
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const status = await new Promise<number | string | null>((resolve) => {
    child.on('error', (error) => resolve(codeOf(error) ?? 'error'));
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  clearTimeout(timer);
  if (status === 0) return text;
  // neither the command nor what it printed: either may hold the secret
  const why = isLate ? `did not answer within ${COMMAND_TIMEOUT_MS / 1000} s` : `failed (exit status ${status})`;
  throw new ManageDbError('SECRET_COMMAND_FAILED', `The command of ${name} ${why}.`, {
    hint: `Run it by hand in ${root} to see what it says.`,
  });
}
