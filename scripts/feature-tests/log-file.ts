import { join } from 'node:path';
import { redact } from '../../app/config/redaction.js';
import { ManageDbError, messageOf } from '../../app/core/errors.js';
import { appendLine } from '../../app/core/files.js';
import { STATE_FOLDER } from '../../app/core/workspace-root.js';

/** Everything that a run of the feature tests has done, without a secret, readable by its owner alone. */
export interface FeatureTestLog {
  readonly path: string;
  /** Appends a text of one or more lines, with the time. */
  readonly write: (text: string) => void;
}

/**
 * The log of a run that begins now: `.manage_db/logs/test-db-features-20261121T054501Z-4711.log`.
 *
 * @param root of the workspace
 * @throws ManageDbError `UNREADABLE_FILE`: nothing is tested that cannot be written down
 */
export function newLog(root: string): FeatureTestLog {
  const moment = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const path = join(root, STATE_FOLDER, 'logs', `test-db-features-${moment}-${process.pid}.log`);
  const write = (text: string) => appendLine(path, `${new Date().toISOString()}  ${redact(text)}`);
  try {
    write('begun');
  } catch (error) {
    throw new ManageDbError(
      'UNREADABLE_FILE',
      `The log ${path} cannot be written: ${messageOf(error)}. Nothing was tested.`,
      {
        hint: `Let this account of the system write into ${join(root, STATE_FOLDER)}, or test a copy of the workspace.`,
        cause: error,
      },
    );
  }
  return { path, write };
}
