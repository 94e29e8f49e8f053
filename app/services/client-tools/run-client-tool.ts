import { basename } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ConnectionSettings } from '../../config/connection-settings.js';
import { redact } from '../../config/redaction.js';
import { ManageDbError } from '../../core/errors.js';
import { onUntimelyEnd } from '../untimely-end.js';
import { withToolEnvironment } from './tool-environment.js';

/** Milliseconds between SIGTERM and SIGKILL. */
const KILL_AFTER_MS = 5000;

/** How many lines of stderr are kept: verbose tools write one per object. */
const LINES_KEPT = 200;

export interface RunClientToolOptions {
  /** `hosts[0]` is the server. */
  readonly settings: ConnectionSettings;
  /** Instead of `settings.database`. */
  readonly database?: string;
  readonly signal?: AbortSignal | undefined;
  /** Each line of stderr as it comes, redacted. What it throws ends the tool, and is thrown. */
  readonly onStderr?: (line: string) => void;
  /** What the tool reads; nothing by default. */
  readonly stdin?: Readable;
  /** Where what it writes goes as it comes; it is kept in memory otherwise. */
  readonly stdout?: Writable;
  /** Told when the tool has ended, however: what makes its input need not wait for anything any more. */
  readonly onEnd?: () => void;
  /** A failed run that is none: asked with the last lines of stderr. */
  readonly isSuccess?: (lines: readonly string[]) => boolean;
}

export interface ToolResult {
  readonly stdout: string;
}

/**
 * Runs one client tool (a path of {@link ClientTools}) against the server of `settings`, with an environment of its
 * own, the password in a file that is gone afterwards, and never asking for anything (`--no-password`).
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED` with what the tool said, `INTERRUPTED` when `signal` aborts
 * @example await runClientTool(tools.pgDump, ['--format=custom', '--file=clinic.dump'], { settings, signal });
 */
export function runClientTool(
  tool: string,
  args: readonly string[],
  options: RunClientToolOptions,
): Promise<ToolResult> {
  const { settings, database } = options;
  const ownArgs = basename(tool) === 'psql' ? ['--no-psqlrc', '--no-password'] : ['--no-password'];
  return withToolEnvironment(settings, { database }, (env) =>
    runInEnvironment(tool, [...ownArgs, ...args], { ...options, env, name: basename(tool) }),
  );
}

export interface RunInEnvironmentOptions extends Omit<RunClientToolOptions, 'database' | 'settings'> {
  /** For the messages. */
  readonly settings: Pick<ConnectionSettings, 'environment'>;
  /** What the messages call the program. */
  readonly name: string;
  readonly env: Record<string, string>;
  /** Where it runs; where we do by default. */
  readonly folder?: string;
}

/** Starts `program` with exactly `env` and waits for its end. */
export async function runInEnvironment(
  program: string,
  args: readonly string[],
  options: RunInEnvironmentOptions,
): Promise<ToolResult> {
  const { env, folder, signal, onStderr, stdin, stdout, onEnd, isSuccess } = options;
  if (signal?.aborted) throw interrupted(options);
  const { execa } = await import('execa');
  const child = execa(program, args, {
    env,
    extendEnv: false,
    ...(folder === undefined ? {} : { cwd: folder }),
    stdin: stdin === undefined ? 'ignore' : 'pipe',
    buffer: { stdout: stdout === undefined, stderr: false },
    reject: false,
    // `undefined` is not the same as absent for execa
    ...(signal === undefined ? {} : { cancelSignal: signal }),
    forceKillAfterDelay: KILL_AFTER_MS,
    cleanup: false,
    ...(stdin === undefined ? {} : { input: stdin }),
  });
  const forget = onUntimelyEnd(() => child.kill('SIGTERM'));
  if (onEnd !== undefined) child.once('exit', onEnd);
  const lines: string[] = [];
  const thrown: unknown[] = [];
  const reading = (async () => {
    for await (const line of child.iterable({ from: 'stderr' })) {
      const clean = redact(String(line));
      lines.push(clean);
      if (lines.length > LINES_KEPT) lines.shift();
      // read on, or the tool would wait for ever for somebody who reads
      if (thrown.length > 0) continue;
      try {
        onStderr?.(clean);
      } catch (error) {
        thrown.push(error);
        child.kill('SIGTERM');
      }
    }
  })();
  // a child that has ended is not heard of before somebody has read what it wrote, or has given that up
  const giving = signal === undefined ? {} : { signal };
  const writing = stdout === undefined ? Promise.resolve() : pipeline(child.readable(), stdout, giving);
  let isUnread = false;
  writing.catch(() => {
    isUnread = true;
    child.kill('SIGTERM');
  });
  const result = await child.finally(forget);
  await reading.catch(() => undefined);
  if (thrown.length > 0) throw thrown[0];
  if (result.isCanceled || signal?.aborted) throw interrupted(options);
  if (!result.failed || isSuccess?.(lines)) {
    await writing;
    return { stdout: String(result.stdout) };
  }
  // ended by us: what counts is why nobody reads it
  if (isUnread && result.signal === 'SIGTERM') await writing;
  throw failed(options, lines, result);
}

function interrupted({ name, settings }: RunInEnvironmentOptions): ManageDbError {
  return new ManageDbError('INTERRUPTED', `${name} was stopped before it had finished with ${settings.environment}.`);
}

function failed(
  { name, settings, env }: RunInEnvironmentOptions,
  lines: readonly string[],
  result: { exitCode?: number | undefined; signal?: string | undefined; originalMessage?: string | undefined },
): ManageDbError {
  const end =
    result.exitCode !== undefined
      ? `ended with code ${result.exitCode}`
      : result.signal !== undefined
        ? `was ended by ${result.signal}`
        : `could not be run (${redact(result.originalMessage ?? 'unknown reason')})`;
  const said = complaint(lines);
  const where = env.PGHOST === undefined ? '' : ` on ${env.PGHOST}:${env.PGPORT}/${env.PGDATABASE}`;
  return new ManageDbError(
    'CLIENT_TOOL_FAILED',
    `${name} ${end}${where} (${settings.environment})${said === '' ? '.' : `:\n${said}`}`,
    {
      details: {
        tool: name,
        exitCode: result.exitCode ?? null,
        signal: result.signal ?? null,
        stderr: lines.slice(-20),
      },
    },
  );
}

/** The lines that say what went wrong, not the objects that went well before and after it. */
function complaint(lines: readonly string[]): string {
  const first = lines.findIndex((line) => /\b(error|fatal|FATAL|ERROR):/.test(line));
  const told = first === -1 ? lines.slice(-5) : lines.slice(first, first + 8);
  return told.join('\n').trim();
}
