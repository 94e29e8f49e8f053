import { type ChildProcess, spawn } from 'node:child_process';

/** Runs TypeScript as a process of its own, in the workspace `root`; its standard output can be read. */
export function startProgram(program: string, root: string): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
    env: { ...process.env, MANAGE_DB_WORKSPACE: root },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Waits until a line of what `child` says begins with `step`. */
export async function hasSaid(child: ChildProcess, step: string): Promise<void> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.split('\n').some((line) => line.startsWith(step))) return;
  }
  throw new Error(`it ended without ${step}: ${text}`);
}
