import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { reloadConfig } from '../../app/config/db-config.js';
import { withWorkspaceRoot } from '../../app/core/workspace-root.js';
import { closeEngines } from '../../app/services/database-service.js';
import { type CommandOptions, type CommandResult, manageDb } from './command-line.js';

export interface ScratchWorkspace {
  readonly root: string;
  /** Writes files by their paths below the workspace. */
  readonly write: (files: Readonly<Record<string, string>>) => void;
  /** Runs `fn` with this workspace as the active one, configuration read anew. */
  readonly run: <T>(fn: () => Promise<T>) => Promise<T>;
  /** Runs the built CLI in it. */
  readonly cli: (args: readonly string[], options?: Partial<CommandOptions>) => Promise<CommandResult>;
  readonly remove: () => Promise<void>;
}

/** An empty folder that is a workspace, with `files` in it. */
export function scratchWorkspace(files: Readonly<Record<string, string>> = {}): ScratchWorkspace {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'manage-db-workspace-')));
  chmodSync(root, 0o755);
  mkdirSync(join(root, '.manage_db'), { mode: 0o700 });
  const write = (more: Readonly<Record<string, string>>): void => {
    for (const [path, text] of Object.entries(more)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
  };
  write(files);
  return {
    root,
    write,
    run: (fn) =>
      withWorkspaceRoot(root, async () => {
        reloadConfig('development');
        return fn();
      }),
    cli: (args, options = {}) => manageDb(args, { cwd: root, ...options }),
    async remove() {
      await closeEngines();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
