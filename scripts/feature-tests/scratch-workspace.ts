import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { withWorkspaceRoot } from '../../app/core/workspace-root.js';
import { closeEngines, initWorkspace, reloadConfig } from '../../app/index.js';
import { withCleanEnvironment } from './clean-environment.js';
import { type CommandOptions, type CommandPlace, type CommandResult, runCommandLine } from './command-line.js';
import type { ScratchServer } from './scratch-server.js';

/** The environments that have a database here. `staging` has none on purpose. */
const ENVIRONMENTS = ['development', 'testing', 'production'] as const;
export type ScratchEnvironment = (typeof ENVIRONMENTS)[number];

/** Nobody listens there, and the password is no secret. */
export const NOWHERE = { environment: 'nowhere', password: 'feature-test-password' } as const;

/** A workspace as `manage_db init` makes it, whose environments are databases of this run. They do not exist yet. */
export interface ScratchWorkspace {
  readonly root: string;
  readonly databases: Readonly<Record<ScratchEnvironment, string>>;
  /** Writes files by their paths in the workspace; what was read of its configuration is forgotten. */
  readonly write: (files: Readonly<Record<string, string>>) => void;
  readonly read: (path: string) => string;
  readonly remove: (path: string) => void;
  readonly list: (folder: string) => readonly string[];
  /** Runs `work` as a program of this workspace: with its settings, and none of the shell's. */
  readonly inside: <T>(work: () => Promise<T>) => Promise<T>;
  /** Runs the CLI in it. */
  readonly manageDb: (args: readonly string[], options?: CommandOptions) => Promise<CommandResult>;
}

/** @param place its folder is empty; its signal is that of the test that runs */
export async function newScratchWorkspace(server: ScratchServer, place: () => CommandPlace): Promise<ScratchWorkspace> {
  const root = place().folder;
  const write: ScratchWorkspace['write'] = (files) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text, { mode: 0o600 });
    }
    reloadConfig('development');
  };
  await initWorkspace(root);
  const made = ENVIRONMENTS.map((environment) => ({ environment, ...server.newDatabase(environment) }));
  write({
    ...Object.fromEntries(made.map(({ environment, url }) => [`.env.${environment}`, `DATABASE_URL='${url}'\n`])),
    [`.env.${NOWHERE.environment}`]: `DATABASE_URL=postgresql://app:${NOWHERE.password}@127.0.0.1:1/nowhere\n`,
    '.manage_db/environment': 'development\n',
    ...(server.pgBinDir === null ? {} : { '.env': `PG_BIN_DIR='${server.pgBinDir}'\n` }),
  });
  return {
    root,
    databases: Object.fromEntries(
      made.map(({ environment, name }) => [environment, name]),
    ) as ScratchWorkspace['databases'],
    write,
    read: (path) => readFileSync(join(root, path), 'utf8'),
    remove: (path) => rmSync(join(root, path), { force: true }),
    list: (folder) => readdirSync(join(root, folder)).sort(),
    inside: (work) =>
      withCleanEnvironment(() =>
        withWorkspaceRoot(root, async () => {
          try {
            return await work();
          } finally {
            // what works on the database next, a restore, wants it for itself
            await closeEngines();
          }
        }),
      ),
    manageDb: (args, options) => runCommandLine({ ...place(), folder: root }, args, options),
  };
}
