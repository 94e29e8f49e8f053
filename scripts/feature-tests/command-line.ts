import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../app/services/package-root.js';
import type { Envelope } from '../presenters/envelope.js';
import { cleanEnvironment } from './clean-environment.js';
import type { FeatureTestLog } from './log-file.js';

/** What a command printed with `--json`, as far as anybody here asks. */
type PrintedEnvelope = Pick<
  Envelope<Readonly<Record<string, unknown>> | null>,
  'ok' | 'environment' | 'data' | 'error'
>;

export interface CommandResult {
  /** As one would type it. */
  readonly line: string;
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly envelope: () => PrintedEnvelope;
}

export interface CommandOptions {
  readonly variables?: Readonly<Record<string, string>>;
  /** Told what comes on standard error, as it comes. */
  readonly onStderr?: (text: string) => void;
}

export interface CommandPlace {
  readonly folder: string;
  readonly log: FeatureTestLog;
  readonly signal: AbortSignal;
}

/** Milliseconds that a command has to end in order before it is killed. */
const PATIENCE_MS = 8000;

/** The commands that run. In sessions of their own no signal of the terminal reaches them: they must not outlive us. */
const running = new Set<ChildProcess>();

/**
 * Runs the installed CLI as a user does: a process of its own, in `folder`, with `--json`. Aborting stops it as Ctrl-C does.
 *
 * @example const { code } = await runCommandLine(place, ['inspect-db', '--tables']);
 */
export async function runCommandLine(
  { folder, log, signal }: CommandPlace,
  args: readonly string[],
  { variables = {}, onStderr }: CommandOptions = {},
): Promise<CommandResult> {
  const line = `manage_db ${args.join(' ')}`;
  const started = performance.now();
  const child = spawn(process.execPath, [commandFile(), ...args, '--json'], {
    cwd: folder,
    env: { ...cleanEnvironment(), ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C at a terminal goes to its whole process group: with ours it would be the second, which ends a command at once
    detached: true,
  });
  if (running.size === 0) process.on('exit', killAll);
  running.add(child);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onStderr?.(text);
  });
  let killing: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGINT');
    killing = setTimeout(() => killGroup(child), PATIENCE_MS);
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  }).finally(() => {
    running.delete(child);
    if (running.size === 0) process.off('exit', killAll);
    clearTimeout(killing);
    signal.removeEventListener('abort', stop);
  });
  log.write(
    `$ ${line}\n${stdout}${stderr}exit ${code ?? 'by a signal'}, ${Math.round(performance.now() - started)} ms`,
  );
  return { line, code, stdout, stderr, envelope: () => parseEnvelope(stdout) };
}

function killAll(): void {
  for (const child of running) killGroup(child);
}

/** With the client tools that it has started. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // it has just ended
  }
}

/** What the package calls `manage_db`. */
function commandFile(): string {
  const { bin } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
    readonly bin: { readonly manage_db: string };
  };
  return join(packageRoot(), bin.manage_db);
}

function parseEnvelope(stdout: string): PrintedEnvelope {
  try {
    return JSON.parse(stdout) as PrintedEnvelope;
  } catch {
    return { ok: false, environment: null, data: null, error: null };
  }
}
