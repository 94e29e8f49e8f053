import { runInEnvironment } from './run-client-tool.js';
import { offlineEnvironment } from './tool-environment.js';

/**
 * Lets pg_restore read an archive to its end, connecting to nothing: every entry is read and unpacked, and thrown away.
 * `pg_restore --list` would accept a truncated one.
 *
 * @throws ManageDbError `CLIENT_TOOL_FAILED` with what pg_restore said, `INTERRUPTED`
 */
export async function readArchive(
  pgRestore: string,
  archive: { readonly path: string; readonly environment: string; readonly signal?: AbortSignal | undefined },
): Promise<void> {
  const { path, environment, signal } = archive;
  await runInEnvironment(pgRestore, ['--file=/dev/null', path], {
    name: 'pg_restore',
    settings: { environment },
    env: offlineEnvironment(),
    signal,
  });
}
