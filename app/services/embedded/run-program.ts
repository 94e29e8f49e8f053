import { execa } from 'execa';
import { ManageDbError } from '../../core/errors.js';

/** The unprivileged account that a program runs as; `null`: ours. */
export type Account = { readonly uid: number; readonly gid: number } | null;

export interface RunOptions {
  readonly account?: Account;
  readonly input?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface RunResult {
  readonly ok: boolean;
  readonly exitCode: number | null;
  /** What it printed on both streams, or why it could not be started. */
  readonly output: string;
}

/**
 * What the server and its programs see of the environment: nothing of ours. PG* variables would change what they
 * do, and secrets would stay readable in /proc for as long as the server lives.
 */
export const SERVER_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
} as const;

/** A folder that every account can enter: ours may be closed to the server's. */
export const NEUTRAL_FOLDER = '/';

/**
 * Runs one of PostgreSQL's or the system's programs to its end, as `account`.
 *
 * @throws INTERRUPTED `signal` was aborted; the program has been stopped.
 */
export async function runProgram(file: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await execa(file, args, {
    ...(options.account ?? {}),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    input: options.input ?? '',
    env: SERVER_ENVIRONMENT,
    extendEnv: false,
    cwd: NEUTRAL_FOLDER,
    all: true,
    reject: false,
  });
  if (result.isCanceled) {
    throw new ManageDbError('INTERRUPTED', 'Interrupted while the embedded server was being prepared.', {
      hint: 'The next command starts over.',
    });
  }
  const output = result.all || (result.failed ? (result.shortMessage ?? '') : '');
  return { ok: !result.failed, exitCode: result.exitCode ?? null, output };
}
