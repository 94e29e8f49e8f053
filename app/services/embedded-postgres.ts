import { readEmbeddedEndpoint } from '../config/embedded-endpoint.js';
import type { OperationControls } from '../core/progress.js';
import type { EmbeddedServer, EmbeddedStatus, StartOptions, StoppedServer } from './embedded/embedded-server.js';
import { findPostmaster } from './embedded/postmaster.js';
import { isOwnEndpoint } from './embedded/server-home.js';

export type { EmbeddedServer, EmbeddedStatus, StartOptions, StoppedServer } from './embedded/embedded-server.js';

/**
 * Makes sure that the workspace's own PostgreSQL server runs, and says where. The first call creates it; the server
 * outlives the process. When it runs already this costs a few file reads, so every database command may call it.
 *
 * @throws EMBEDDED_SERVER_FAILED it cannot be created or started; `details` has the end of its log.
 * @throws UNREADABLE_FILE `.manage_db/embedded.json` may not be read or is damaged.
 * @throws LOCK_TIMEOUT another command has been starting or stopping it for two minutes.
 * @throws INTERRUPTED `options.signal` was aborted.
 * @example
 * const { host, port, user, password } = await startEmbeddedServer(workspace.root);
 */
export async function startEmbeddedServer(workspaceRoot: string, options: StartOptions = {}): Promise<EmbeddedServer> {
  const running = findRunning(workspaceRoot, options.port);
  if (running !== null) return running;
  // Imported late: everything below is only needed when there is something to start.
  const { startServer } = await import('./embedded/start-server.js');
  return startServer(workspaceRoot, options);
}

/**
 * Stops the workspace's server with a fast shutdown and waits until it is gone. The data stay.
 *
 * @throws EMBEDDED_SERVER_FAILED it does not end, or belongs to another user.
 * @example
 * const { stopped } = await stopEmbeddedServer(workspace.root);
 */
export async function stopEmbeddedServer(
  workspaceRoot: string,
  controls: OperationControls = {},
): Promise<StoppedServer> {
  const { stopServer } = await import('./embedded/stop-server.js');
  return stopServer(workspaceRoot, controls);
}

/**
 * What there is of the workspace's server. Starts nothing and connects to nothing.
 *
 * @example
 * const { running, port, sizeBytes } = await embeddedServerStatus(workspace.root);
 */
export async function embeddedServerStatus(workspaceRoot: string): Promise<EmbeddedStatus> {
  const { serverStatus } = await import('./embedded/server-status.js');
  return serverStatus(workspaceRoot);
}

function findRunning(workspaceRoot: string, port: number | undefined): EmbeddedServer | null {
  const endpoint = readEmbeddedEndpoint(workspaceRoot);
  if (endpoint === null || !isOwnEndpoint(workspaceRoot, endpoint)) return null;
  const postmaster = findPostmaster(endpoint.dataDirectory);
  if (postmaster?.status !== 'ready' || postmaster.port !== endpoint.port) return null;
  if (port !== undefined && port !== postmaster.port) return null;
  return { ...endpoint, pid: postmaster.pid, wasRunning: true, created: false };
}
