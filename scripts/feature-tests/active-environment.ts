import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../../app/core/files.js';
import { STATE_FOLDER } from '../../app/core/workspace-root.js';

/** The active environment of a workspace as it was at one moment. */
export interface ActiveEnvironment {
  /** Makes it that again, where something has changed it. */
  readonly putBack: () => void;
}

/** Remembers the file that `switch-env` writes, and the variable. */
export function rememberActiveEnvironment(root: string): ActiveEnvironment {
  const file = join(root, STATE_FOLDER, 'environment');
  const read = (): string | null => (existsSync(file) ? readFileSync(file, 'utf8') : null);
  const text = read();
  const { MANAGE_DB_ENV: variable } = process.env;
  return {
    putBack() {
      if (variable === undefined) delete process.env.MANAGE_DB_ENV;
      else process.env.MANAGE_DB_ENV = variable;
      if (read() === text) return;
      if (text === null) rmSync(file);
      else writeFileAtomically(file, text);
    },
  };
}
