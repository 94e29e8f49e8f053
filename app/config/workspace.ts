import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { STATE_FOLDER, workspaceRoot } from '../core/workspace-root.js';
import { foldersOf, loadConfigFile } from './config-file.js';

/** The user's project folder and where things stand in it. All paths are absolute. */
export interface Workspace {
  readonly root: string;
  /** `.manage_db`: the active environment, the embedded server, logs. */
  readonly stateDir: string;
  readonly name: string;
  readonly backupsDir: string;
  readonly migrationsDir: string;
  readonly seedDir: string;
  readonly triggersDir: string;
}

/**
 * The active workspace.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION`, `UNREADABLE_FILE`
 * @example (await getWorkspace()).migrationsDir
 */
export async function getWorkspace(root: string = workspaceRoot()): Promise<Workspace> {
  const config = await loadConfigFile(root);
  return {
    root,
    stateDir: join(root, STATE_FOLDER),
    name: config.name ?? packageName(root) ?? basename(root),
    ...foldersOf(root, config),
  };
}

function packageName(root: string): string | null {
  try {
    const parsed: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const name = typeof parsed === 'object' && parsed !== null && 'name' in parsed ? parsed.name : null;
    return typeof name === 'string' && name !== '' ? name.replace(/^@[^/]*\//, '') : null;
  } catch {
    return null;
  }
}
