import { readFileSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readEmbeddedEndpoint } from '../../config/embedded-endpoint.js';
import { codeOf } from '../../core/errors.js';
import type { EmbeddedStatus } from './embedded-server.js';
import { findPostmaster } from './postmaster.js';
import { locateHome, ownerOf, readRecord } from './server-home.js';

/** Looks at files and processes only: it starts nothing, changes nothing and does not connect. */
export async function serverStatus(workspaceRoot: string): Promise<EmbeddedStatus> {
  const remembered = readEmbeddedEndpoint(workspaceRoot);
  const home = locateHome(workspaceRoot, remembered);
  const exists = ownerOf(home) !== null;
  const postmaster = exists ? findPostmaster(home.dataDirectory) : null;
  const record = exists ? readRecord(home) : null;
  const endpoint = record?.endpoint ?? remembered;
  const states = { starting: 'starting', ready: 'running', stopping: 'stopping' } as const;
  return {
    state: postmaster !== null ? states[postmaster.status] : exists ? 'stopped' : 'absent',
    running: postmaster?.status === 'ready',
    pid: postmaster?.pid ?? null,
    port: postmaster?.port ?? (exists ? (endpoint?.port ?? null) : null),
    dataDirectory: home.dataDirectory,
    logFile: home.logFile,
    version: exists ? (record?.version ?? readFileSync(join(home.dataDirectory, 'PG_VERSION'), 'utf8').trim()) : null,
    systemIdentifier: exists ? (endpoint?.systemIdentifier ?? null) : null,
    sizeBytes: exists ? await sizeOf(home.dataDirectory) : null,
    startedAt: postmaster?.startedAt ?? null,
    uptimeSeconds: postmaster === null ? null : Math.round((Date.now() - postmaster.startedAt.getTime()) / 1000),
  };
}

/** Bytes of all files in a folder; what a running server removes meanwhile counts as nothing. */
async function sizeOf(folder: string): Promise<number> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    const sizes = entries.map(async (entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? sizeOf(path) : entry.isFile() ? (await stat(path)).size : 0;
    });
    return (await Promise.all(sizes.map((size) => size.catch(nothingIfGone)))).reduce((sum, size) => sum + size, 0);
  } catch (error) {
    return nothingIfGone(error);
  }
}

function nothingIfGone(error: unknown): 0 {
  if (codeOf(error) === 'ENOENT') return 0;
  throw error;
}
