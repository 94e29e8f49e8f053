/**
 * The PostgreSQL client tools: which ones this machine has, which one fits a server, and the only place that starts
 * them. What they may see of this process is in `client-tools/tool-environment.ts`.
 */
import { join } from 'node:path';
import { type ErrorCode, ManageDbError } from '../core/errors.js';
import { installCommand } from './client-tools/install-command.js';
import { TOOL_NAMES, type ToolName, type ToolSearch, toolFolders } from './client-tools/tool-folders.js';
import { readToolVersion, type ToolVersion } from './client-tools/tool-version.js';

export { dumpSingleFile } from './client-tools/dump-single-file.js';
export { runClientTool, type ToolResult } from './client-tools/run-client-tool.js';
export { runOffline } from './client-tools/run-offline.js';

/** One folder that holds pg_dump, pg_restore and psql of one version. */
export interface ClientTools extends ToolVersion {
  readonly folder: string;
  readonly pgDump: string;
  readonly pgRestore: string;
  readonly psql: string;
}

export interface FindClientToolsOptions extends ToolSearch {
  /** The server's major version: the tools must not be older. Without it the newest are taken. */
  readonly serverMajor?: number;
}

/**
 * The client tools fit for a server: of its own major version, else the next newer one; never older ones, which
 * cannot dump it. When PG_BIN_DIR (or `binDir`) is set, only that folder counts.
 *
 * @throws ManageDbError `CLIENT_TOOLS_MISSING` with the command that installs them on this system
 * @example const tools = await findClientTools({ serverMajor: 15 }); tools.pgDump // '/usr/lib/postgresql/15/bin/pg_dump'
 */
export async function findClientTools(options: FindClientToolsOptions = {}): Promise<ClientTools> {
  const found = await listClientTools(options);
  const { serverMajor } = options;
  const fit = found
    .filter((tools) => serverMajor === undefined || tools.major >= serverMajor)
    // Array.prototype.sort is stable: among equals the folder that was looked at first wins
    .sort((a, b) => (serverMajor === undefined ? b.major - a.major : a.major - b.major) || b.minor - a.minor);
  const best = fit[0];
  if (best === undefined) throw missing(found, options);
  return best;
}

/** Every complete set of client tools on this machine, in the order of the search. Reads versions once per process. */
export async function listClientTools(search: ToolSearch = {}): Promise<ClientTools[]> {
  const folders = await toolFolders(search);
  const found = await Promise.all(folders.map(describe));
  return found.filter((tools) => tools !== null);
}

async function describe(folder: string): Promise<ClientTools | null> {
  const path = (tool: ToolName) => join(folder, tool);
  const version = await readToolVersion(path('pg_dump'));
  if (version === null) return null;
  return { ...version, folder, pgDump: path('pg_dump'), pgRestore: path('pg_restore'), psql: path('psql') };
}

function missing(
  found: readonly ClientTools[],
  { serverMajor, binDir = process.env.PG_BIN_DIR }: FindClientToolsOptions,
) {
  const code: ErrorCode = 'CLIENT_TOOLS_MISSING';
  const wanted = serverMajor === undefined ? '' : ` of version ${serverMajor} or newer`;
  const which = TOOL_NAMES.join(', ');
  const place = binDir ? `PG_BIN_DIR (${binDir})` : 'This machine';
  const message =
    found.length === 0
      ? `${place} has no PostgreSQL client tools (${which})${wanted}.`
      : `No PostgreSQL client tools fit the server: it is version ${serverMajor}, and older tools cannot dump or restore it. ` +
        `${binDir ? `${place} has` : 'Found:'} ${found.map(({ version, folder }) => `${version} in ${folder}`).join(', ')}.`;
  const install = installCommand(serverMajor);
  const hint = binDir
    ? `Point PG_BIN_DIR at a folder with ${which}${wanted}, or unset it.`
    : `Install them: ${install}`;
  return new ManageDbError(code, message, {
    hint,
    details: {
      serverMajor: serverMajor ?? null,
      found: found.map(({ version, folder }) => ({ version, folder })),
      install,
    },
  });
}
