import type { OperationControls } from '../../core/progress.js';
import type { NewCluster } from './create-cluster.js';
import { SUPERUSER } from './create-cluster.js';
import { serverFailed } from './launch.js';
import { runProgram } from './run-program.js';

/**
 * Gives the superuser of a stopped cluster a new password, in single-user mode: the way back when every copy of the
 * old one is lost. The statement goes through standard input, so the password is in no argument and no log.
 *
 * @throws EMBEDDED_SERVER_FAILED single-user mode failed.
 */
export async function resetPassword(cluster: NewCluster, controls: OperationControls): Promise<void> {
  const { home, binaries, account, password } = cluster;
  controls.onProgress?.({ step: "the embedded server's password is lost: setting a new one" });
  const args = ['--single', '-D', home.dataDirectory, '-c', 'log_min_error_statement=panic', 'postgres'];
  // base64url: nothing in it needs quoting. The role is looked up by name and not by oid: it may have been renamed.
  const input = `alter role ${SUPERUSER} login superuser password '${password}'\n`;
  const result = await runProgram(binaries.postgres, args, { account, input, signal: controls.signal });
  if (result.ok && !/\b(ERROR|FATAL|PANIC):/.test(result.output)) return;
  const said = result.output.replaceAll(password, '****').trimEnd().split('\n').at(-1);
  throw serverFailed("The embedded server's password could not be reset.", home, said);
}
