import { spawn, spawnSync } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import type { Context } from 'mocha';
import { CLI, type CommandOptions, cleanEnvironment } from './command-line.js';

export interface Ended {
  readonly code: number | null;
  /** Everything that came to the screen, with its control sequences. */
  readonly raw: string;
  /** The same without them. */
  readonly screen: string;
}

export interface Terminal {
  /** Waits until `text` comes to the screen, after what was waited for before. */
  readonly shows: (text: string) => Promise<void>;
  /** Types `keys`, as bytes: `\r` is Enter, `\u0003` Ctrl-C. */
  readonly type: (keys: string) => void;
  /** Takes the terminal away, as a lost connection does. */
  readonly hangUp: () => void;
  readonly end: () => Promise<Ended>;
}

export interface TerminalOptions extends Pick<CommandOptions, 'cwd' | 'env' | 'timeoutMs'> {
  /** The line of the shell that runs on the terminal, `command` being manage_db with its arguments; by default just that. */
  readonly line?: (command: string) => string;
}

/** Skips the test where there is no `script` of util-linux to make a terminal: the one of macOS is another program. */
export function needsTerminal(test: Context): void {
  const { stdout } = spawnSync('script', ['--version'], { encoding: 'utf8' });
  if (stdout?.includes('util-linux')) return;
  process.stdout.write('      skipped: there is no script(1) of util-linux here, which makes the terminal\n');
  test.skip();
}

/** Runs the built CLI on a terminal of its own, 160 columns wide. */
export function manageDbOnTerminal(args: readonly string[], options: TerminalOptions): Terminal {
  const command = [process.execPath, CLI, ...args].map(quoted).join(' ');
  const line = `stty cols 160 rows 50; ${options.line?.(command) ?? command}`;
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', line, '/dev/null'], {
    cwd: options.cwd,
    env: { ...cleanEnvironment(), TERM: 'xterm-256color', SHELL: '/bin/sh', ...options.env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 240_000);
  let raw = '';
  let read = 0;
  let hasEnded = false;
  let look = (): void => undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    raw += text;
    look();
  });
  // typing after the end is no error of the test
  child.stdin.on('error', () => undefined);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      hasEnded = true;
      look();
      resolve({ code, raw, screen: onScreen(raw) });
    });
  });
  return {
    shows: (text) =>
      new Promise((resolve, reject) => {
        look = () => {
          const at = onScreen(raw).indexOf(text, read);
          if (at >= 0) {
            read = at + text.length;
            look = () => undefined;
            resolve();
          } else if (hasEnded) {
            reject(new Error(`${JSON.stringify(text)} never came to the screen:\n${onScreen(raw).slice(read)}`));
          }
        };
        look();
      }),
    type: (keys) => child.stdin.write(keys),
    hangUp: () => child.kill('SIGKILL'),
    end: () => ended,
  };
}

function onScreen(raw: string): string {
  return stripVTControlCharacters(raw).replaceAll('\r\n', '\n');
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
