import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { CLI, cleanEnvironment } from './command-line.js';
import { onServer } from './scratch-database.js';

export interface Killing {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** What it says on standard error when the time has come. */
  readonly step: string;
  /** Milliseconds after that. */
  readonly afterMs: number;
  /** Whose sessions have to be gone before this returns. */
  readonly login: string;
}

/** Runs the built CLI and kills it: SIGKILL, alone for that process. What it has started finds out by itself. */
export async function killCommand(line: readonly string[], { cwd, env, step, afterMs, login }: Killing): Promise<void> {
  const child: ChildProcess = spawn(process.execPath, [CLI, ...line, '--yes', '--verbose'], {
    cwd,
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  let said = '';
  for await (const chunk of child.stderr ?? []) {
    said += String(chunk);
    if (said.includes(step)) break;
  }
  await sleep(afterMs);
  const wasRunning = child.kill('SIGKILL');
  const [, signal] = await exited;
  expect([said.includes(step), wasRunning, signal], said).to.deep.equal([true, true, 'SIGKILL']);
  await sessionsEnded(login);
}

/** The sessions of a killed process end a little after it. */
export async function sessionsEnded(login: string): Promise<void> {
  for (let waited = 0; waited < 20_000; waited += 50) {
    const { rowCount } = await onServer((server) =>
      server.query(`select from pg_stat_activity where usename = $1`, [login]),
    );
    if (rowCount === 0) return;
    await sleep(50);
  }
  expect.fail('its sessions do not end');
}
