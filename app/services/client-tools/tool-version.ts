import { execFile } from 'node:child_process';

/** `15.18`, major 15, minor 18. A beta counts as minor 0. */
export interface ToolVersion {
  readonly version: string;
  readonly major: number;
  readonly minor: number;
}

const READ_TIMEOUT_MS = 10_000;
const known = new Map<string, Promise<ToolVersion | null>>();

/** What `path --version` says, asked once per process; `null` for something that is not a PostgreSQL tool. */
export function readToolVersion(path: string): Promise<ToolVersion | null> {
  const asked = known.get(path) ?? ask(path);
  known.set(path, asked);
  return asked;
}

function ask(path: string): Promise<ToolVersion | null> {
  return new Promise((resolve) => {
    execFile(path, ['--version'], { timeout: READ_TIMEOUT_MS, env: {} }, (error, stdout) => {
      const match = /\(PostgreSQL\) ((\d+)(?:\.(\d+))?\S*)/.exec(error === null ? stdout : '');
      const [, version, major, minor] = match ?? [];
      resolve(version === undefined ? null : { version, major: Number(major), minor: Number(minor ?? 0) });
    });
  });
}
