import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type EmbeddedEndpoint, readEmbeddedEndpoint, readEndpointFile } from '../../config/embedded-endpoint.js';
import { codeOf, ManageDbError } from '../../core/errors.js';
import { writeSecretFile } from './write-endpoint.js';

/** Where root keeps what the unprivileged server must be able to enter. */
export const SYSTEM_FOLDER = '/var/lib/manage_db';

/** The folder that holds one workspace's cluster and what belongs to it. */
export interface ServerHome {
  readonly workspace: string;
  readonly folder: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** The second copy of the endpoint, with the workspace and the version: see {@link ServerRecord}. */
  readonly recordFile: string;
  readonly isSystemWide: boolean;
  /** The workspace that this one was copied from, when its server stays with the original. */
  readonly copiedFrom: string | null;
}

/** What is remembered beside the data; it survives the loss of `.manage_db/embedded.json`. */
export interface ServerRecord {
  readonly endpoint: EmbeddedEndpoint;
  readonly workspace: string | null;
  readonly version: string | null;
}

/**
 * Where the workspace's server lives. An ordinary user's is inside the workspace. Root's is under {@link SYSTEM_FOLDER},
 * unless an ordinary user has made one inside the workspace before: then root works with that one. Looks only; creates nothing.
 */
export function locateHome(workspaceRoot: string, endpoint: EmbeddedEndpoint | null): ServerHome {
  const workspace = realWorkspace(workspaceRoot);
  const inside = join(workspace, '.manage_db', 'postgres');
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || existsSync(join(inside, 'data', 'PG_VERSION'))) return homeAt(inside, workspace);
  const remembered = endpoint === null ? null : homeAt(dirname(endpoint.dataDirectory), workspace);
  const owner = remembered?.isSystemWide ? (readRecord(remembered)?.workspace ?? null) : null;
  if (remembered === null || owner === null) return freeSystemHome(workspace);
  // A moved workspace takes its server along; a copied one leaves it to the original.
  if (owner === workspace || !stillUses(owner, remembered.dataDirectory)) return remembered;
  return { ...freeSystemHome(workspace), copiedFrom: owner };
}

/** Whether the remembered endpoint is this workspace's own, and not that of the workspace it was copied from. */
export function isOwnEndpoint(workspaceRoot: string, endpoint: EmbeddedEndpoint): boolean {
  const workspace = realWorkspace(workspaceRoot);
  const home = homeAt(dirname(endpoint.dataDirectory), workspace);
  if (home.folder === join(workspace, '.manage_db', 'postgres')) return true;
  return home.isSystemWide && readRecord(home)?.workspace === workspace;
}

export function readRecord(home: ServerHome): ServerRecord | null {
  const endpoint = readEndpointFile(home.recordFile);
  if (endpoint === null) return null;
  const { workspace, version } = JSON.parse(readFileSync(home.recordFile, 'utf8')) as Partial<ServerRecord>;
  return { endpoint, workspace: workspace ?? null, version: version ?? null };
}

export function writeRecord(home: ServerHome, endpoint: EmbeddedEndpoint, version: string): void {
  writeSecretFile(home.recordFile, { ...endpoint, workspace: home.workspace, version });
}

function realWorkspace(workspaceRoot: string): string {
  try {
    return realpathSync(workspaceRoot);
  } catch (error) {
    throw new ManageDbError('NOT_FOUND', `The workspace ${workspaceRoot} cannot be entered (${codeOf(error)}).`, {
      hint: 'Run in an existing folder, or name one with --workspace.',
      cause: error,
    });
  }
}

function stillUses(workspace: string, dataDirectory: string): boolean {
  return existsSync(workspace) && readEmbeddedEndpoint(workspace)?.dataDirectory === dataDirectory;
}

function homeAt(folder: string, workspace: string): ServerHome {
  return {
    workspace,
    folder,
    dataDirectory: join(folder, 'data'),
    logFile: join(folder, 'server.log'),
    recordFile: join(folder, 'server.json'),
    isSystemWide: dirname(folder) === SYSTEM_FOLDER,
    copiedFrom: null,
  };
}

/** The path's own place; the next one when a workspace that once was at this path has moved and taken it along. */
function freeSystemHome(workspace: string): ServerHome {
  const hash = createHash('sha256').update(workspace).digest('hex').slice(0, 16);
  for (let number = 1; ; number++) {
    const home = homeAt(join(SYSTEM_FOLDER, number === 1 ? hash : `${hash}-${number}`), workspace);
    const owner = readRecord(home)?.workspace ?? workspace;
    if (owner === workspace) return home;
  }
}

/** The uid and gid that own the cluster, or `null` where there is no cluster yet. */
export function ownerOf(home: ServerHome): { uid: number; gid: number } | null {
  const stats = statSync(join(home.dataDirectory, 'PG_VERSION'), { throwIfNoEntry: false });
  return stats === undefined ? null : { uid: stats.uid, gid: stats.gid };
}
