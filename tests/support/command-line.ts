import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Envelope } from '../../scripts/presenters/envelope.js';

export const CLI = join(import.meta.dirname, '..', '..', 'dist', 'scripts', 'manage_db.js');

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output, parsed. */
  // biome-ignore lint/suspicious/noExplicitAny: each command has its own data, asserted field by field
  readonly json: () => Envelope<any>;
}

export interface CommandOptions {
  readonly cwd: string;
  /** Added to an environment that otherwise has only what a login shell has. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which it counts as hanging and is killed. */
  readonly timeoutMs?: number;
  /** Standard input: empty, or a pipe into which nobody writes and which nobody closes. */
  readonly input?: 'empty' | 'open pipe';
  /** In a process group of its own, as a shell starts it: a signal to the group is Ctrl-C at a terminal. */
  readonly isDetached?: boolean;
  readonly onStart?: (child: ChildProcess) => void;
}

/** Runs the built CLI as a user would: its own process, no terminal, a clean environment. */
export async function manageDb(args: readonly string[], options: CommandOptions): Promise<CommandResult> {
  if (!existsSync(CLI)) throw new Error('The CLI is not built: npm run build');
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: options.cwd,
    env: { ...cleanEnvironment(), ...options.env },
    stdio: 'pipe',
    detached: options.isDetached === true,
  });
  if (options.input !== 'open pipe') child.stdin.end();
  options.onStart?.(child);
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 240_000);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (...ended) => resolve(ended));
  });
  clearTimeout(timer);
  return { code, signal, stdout, stderr, json: () => JSON.parse(stdout) };
}

/** Less than a user's shell has: what the shell of whoever runs the tests says must not count. */
export function cleanEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'NODE_V8_COVERAGE'];
  return Object.fromEntries(
    kept.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name] as string]])),
  );
}
