import { readdirSync, rmSync } from 'node:fs';
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

/** Of so many runs, the one that begins included. */
const KEPT_LOGS = 20;

/** The moment comes first: by name is by age. */
const LOG_NAME = /^test-db-features-\d{8}T\d{6}Z-\d+\.log$/;

/**
 * The log of a run that begins now: `.manage_db/logs/test-db-features-20261121T054501Z-4711.log`. The oldest ones go.
 *
 * @param root of the workspace
 * @throws ManageDbError `UNREADABLE_FILE`: nothing is tested that cannot be written down
 */
export function newLog(root: string): FeatureTestLog {
  const moment = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const folder = join(root, STATE_FOLDER, 'logs');
  const path = join(folder, `test-db-features-${moment}-${process.pid}.log`);
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
  removeOldLogs(folder);
  return { path, write };
}

function removeOldLogs(folder: string): void {
  const names = readdirSync(folder).filter((name) => LOG_NAME.test(name));
  for (const name of names.sort().slice(0, -KEPT_LOGS)) {
    try {
      rmSync(join(folder, name));
    } catch {
      // another run has removed it, or its owner is somebody else
    }
  }
}
