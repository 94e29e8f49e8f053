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
  /** That its end may come sooner: then it has succeeded. */
  readonly mayHaveEnded?: boolean;
  /** Whose sessions have to be gone before this returns. */
  readonly login: string;
}

/** Runs the built CLI and kills it: SIGKILL, alone for that process. What it has started finds out by itself. */
export async function killCommand(line: readonly string[], killing: Killing): Promise<void> {
  const { cwd, env, step, afterMs, mayHaveEnded, login } = killing;
  const child: ChildProcess = spawn(process.execPath, [CLI, ...line, '--yes', '--verbose'], {
    cwd,
    env: { ...cleanEnvironment(), ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  let said = '';
  // it goes on saying more
  for await (const chunk of child.stderr?.iterator({ destroyOnReturn: false }) ?? []) {
    said += String(chunk);
    if (said.includes(step)) break;
  }
  await sleep(afterMs);
  child.kill('SIGKILL');
  const [code, signal] = await exited;
  expect(said).to.include(step);
  expect(signal ?? code, said).to.be.oneOf(mayHaveEnded ? ['SIGKILL', 0] : ['SIGKILL']);
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
