import { EXIT, ManageDbError } from '../app/core/errors.js';
import { asManageDbError } from '../app/services/database-errors.js';
import type { Presentation } from './presentation.js';

/**
 * Says so when something else ends the process in the middle of a command, such as a hook of the users: that is no success,
 * and whoever reads JSON gets its object. Returns what ends the watch.
 */
export function watchForUntimelyExit(presentation: Presentation): () => void {
  const exited = (code: number): void => {
    if (code === EXIT.interrupted) return;
    const message = `Something has ended the process in the middle of the command (process.exit(${code})).`;
    process.exitCode = presentation.fail(
      new ManageDbError('INTERNAL', message, {
        hint: 'Look for process.exit in hooks and configuration files. What was left is cleared up by the next command.',
      }),
    );
  };
  const rejected = (reason: unknown): void => {
    process.off('exit', exited);
    process.exit(presentation.fail(asManageDbError(reason)));
  };
  process.on('exit', exited);
  process.on('unhandledRejection', rejected);
  process.on('uncaughtException', rejected);
  return () => {
    process.off('exit', exited);
    process.off('unhandledRejection', rejected);
    process.off('uncaughtException', rejected);
  };
}
