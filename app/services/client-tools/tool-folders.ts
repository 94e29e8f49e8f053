import { constants } from 'node:fs';
import { access, open, readdir, realpath } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';

export const TOOL_NAMES = ['pg_dump', 'pg_restore', 'psql'] as const;
export type ToolName = (typeof TOOL_NAMES)[number];

/** Where packages put one folder per version; `*` stands for one folder name, or a part of it. */
const PACKAGE_FOLDERS = [
  '/usr/lib/postgresql/*/bin', // Debian, Ubuntu
  '/usr/pgsql-*/bin', // PGDG on Red Hat and its relatives
  '/usr/libexec/postgresql*', // Alpine
  '/opt/homebrew/opt/postgresql@*/bin',
  '/opt/homebrew/opt/libpq/bin',
  '/usr/local/opt/postgresql@*/bin',
  '/usr/local/opt/libpq/bin',
  '/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin',
  '/home/linuxbrew/.linuxbrew/opt/libpq/bin',
  '/Applications/Postgres.app/Contents/Versions/*/bin',
  '/usr/local/pgsql/bin', // built from source
] as const;

export interface ToolSearch {
  /** The only folder to look in. `undefined`: the variable PG_BIN_DIR decides; `null`: look everywhere. */
  readonly binDir?: string | null;
  /** Instead of the variable PATH. */
  readonly path?: string;
  /** Instead of the folders that packages use. */
  readonly packageFolders?: readonly string[];
}

/**
 * The folders that hold all three tools as real programs, each once, PATH first.
 *
 * Debian's /usr/bin/pg_dump is a Perl script that chooses a version by the clusters of the machine, not by the server
 * that is dumped, and takes 50 ms for it: scripts are passed over, the programs behind them are in versioned folders.
 */
export async function toolFolders(search: ToolSearch): Promise<string[]> {
  const binDir = search.binDir === undefined ? process.env.PG_BIN_DIR : search.binDir;
  const candidates = binDir ? [binDir] : await everyFolder(search);
  const real = await Promise.all(candidates.map(folderOfTools));
  return [...new Set(real.filter((folder) => folder !== null))];
}

async function everyFolder({ path = process.env.PATH ?? '', packageFolders = PACKAGE_FOLDERS }: ToolSearch) {
  const expanded = await Promise.all(packageFolders.map(expand));
  // a relative entry of PATH would mean another program in every folder
  return [...path.split(delimiter).filter((entry) => entry.startsWith('/')), ...expanded.flat()];
}

async function expand(pattern: string): Promise<string[]> {
  const [before, after] = splitAtStar(pattern);
  if (after === null) return [pattern];
  const parent = dirname(`${before}x`);
  const prefix = before.slice(parent.length + 1);
  const names = await readdir(parent).catch(() => []);
  return names.filter((name) => name.startsWith(prefix)).map((name) => `${join(parent, name)}${after}`);
}

function splitAtStar(pattern: string): [string, string | null] {
  const star = pattern.indexOf('*');
  return star === -1 ? [pattern, null] : [pattern.slice(0, star), pattern.slice(star + 1)];
}

/** The real folder of the tools that `folder` names, or `null` when one of them is missing or a script. */
async function folderOfTools(folder: string): Promise<string | null> {
  try {
    const real = await Promise.all(TOOL_NAMES.map((tool) => realpath(join(folder, tool))));
    await Promise.all(real.map((path) => access(path, constants.X_OK)));
    if ((await Promise.all(real.map(isScript))).includes(true)) return null;
    const folders = new Set(real.map(dirname));
    // programs linked from several places (Homebrew, Nix profiles) are used where the links are
    return folders.size === 1 && TOOL_NAMES.every((tool, index) => real[index]?.endsWith(`/${tool}`))
      ? dirname(real[0] ?? '')
      : folder;
  } catch {
    return null;
  }
}

async function isScript(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer.toString('latin1') === '#!';
  } finally {
    await file.close();
  }
}
