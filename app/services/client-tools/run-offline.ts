import { basename } from 'node:path';
import { type RunInEnvironmentOptions, runInEnvironment, type ToolResult } from './run-client-tool.js';
import { offlineEnvironment } from './tool-environment.js';

export interface RunOfflineOptions
  extends Pick<RunInEnvironmentOptions, 'signal' | 'stdin' | 'stdout' | 'folder' | 'isSuccess'> {
  /** For the messages. */
  readonly environment: string;
}

/**
 * Runs a client tool that connects to nothing: pg_restore writing what is in an archive. It gets no password, and no
 * server is asked for anything.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED` with what the tool said, `INTERRUPTED`
 * @example const { stdout } = await runOffline(tools.pgRestore, ['--list', 'clinic.dump'], { environment: 'staging' });
 */
export function runOffline(
  tool: string,
  args: readonly string[],
  { environment, ...options }: RunOfflineOptions,
): Promise<ToolResult> {
  return runInEnvironment(tool, args, {
    ...options,
    name: basename(tool),
    settings: { environment },
    env: offlineEnvironment(),
  });
}
