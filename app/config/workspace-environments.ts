import { readdirSync } from 'node:fs';
import { knownEnvironments } from '../core/environment-names.js';
import { loadConfigFile } from './config-file.js';

/** What stands behind `.env.` and is no environment. */
const NO_ENVIRONMENT = ['example', 'sample', 'template', 'local', 'defaults', 'dist'];

/**
 * Every environment of the workspace at `root`: those that are built in or declared, and those that only have a file of
 * their own. Whether one has a database is another question.
 *
 * @throws ManageDbError `INVALID_CONFIGURATION`, `UNREADABLE_FILE`
 * @example for (const environment of await workspaceEnvironments(workspaceRoot())) await describeConfig(environment);
 */
export async function workspaceEnvironments(root: string): Promise<readonly string[]> {
  await loadConfigFile(root);
  const files = readdirSync(root).flatMap((file) => /^\.env\.([a-z][a-z0-9_-]{0,47})$/.exec(file)?.[1] ?? []);
  return [...new Set([...knownEnvironments(root), ...files.filter((name) => !NO_ENVIRONMENT.includes(name))])];
}
