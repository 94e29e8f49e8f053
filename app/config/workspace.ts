import { join } from 'node:path';
import { STATE_FOLDER, workspaceRoot } from '../core/workspace-root.js';
import { foldersOf, loadConfigFile } from './config-file.js';

/** The user's project folder and where things stand in it. All paths are absolute. */
export interface Workspace {
  readonly root: string;
  /** `.manage_db`: the active environment, the embedded server, logs. */
  readonly stateDir: string;
  /** The first part of the names of its embedded databases. Not the folder's: that may be renamed. */
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
    name: config.name ?? 'app',
    ...foldersOf(root, config),
  };
}
