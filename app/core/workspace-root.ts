import { AsyncLocalStorage } from 'node:async_hooks';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The configuration files that make a folder a workspace, in the order in which they are looked for. */
const CONFIG_FILES = [
  'manage_db.config.ts',
  'manage_db.config.mts',
  'manage_db.config.js',
  'manage_db.config.mjs',
  'manage_db.config.json',
] as const;

/** The folder in a workspace where manage_db keeps its own state. */
export const STATE_FOLDER = '.manage_db';

const chosen = new AsyncLocalStorage<string>();

/**
 * The root of the user's project: the one of {@link withWorkspaceRoot}, else `MANAGE_DB_WORKSPACE`, else the nearest
 * folder from the current one upwards that has a `manage_db.config.*` or a `.manage_db`, else the current folder.
 */
export function workspaceRoot(): string {
  const explicit = chosen.getStore() ?? process.env.MANAGE_DB_WORKSPACE;
  if (explicit) return resolve(explicit);
  return climb(process.cwd()) ?? process.cwd();
}

/** Runs `fn` with `root` as the workspace, whatever the current folder is. */
export function withWorkspaceRoot<T>(root: string, fn: () => T): T {
  return chosen.run(resolve(root), fn);
}

/** Where compiled files of the workspace are kept. */
export function cacheFolder(root: string): string {
  return join(root, STATE_FOLDER, 'cache');
}

/** The configuration file of the workspace `root`, or `null`. */
export function findConfigFile(root: string): string | null {
  const name = CONFIG_FILES.find((candidate) => existsSync(join(root, candidate)));
  return name === undefined ? null : join(root, name);
}

function climb(folder: string): string | null {
  if (findConfigFile(folder) !== null || existsSync(join(folder, STATE_FOLDER))) return folder;
  const parent = dirname(folder);
  return parent === folder ? null : climb(parent);
}
