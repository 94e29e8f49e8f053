import type { Client } from 'pg';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import { isConnectionLost } from '../../../../services/connection/connection-errors.js';
import { asManageDbError } from '../../../../services/database-errors.js';
import type { ErrorCode } from '../../../errors.js';
import { ManageDbError } from '../../../errors.js';
import type { OperationControls } from '../../../progress.js';
import { type MigrationStep, runSteps } from '../runner.js';

/** Why a migration could not be executed. */
export interface StepFailure {
  readonly code: ErrorCode;
  /** With file, line, column and a caret, where the place is known. */
  readonly message: string;
  readonly hint: string | null;
}

export interface StepTrial {
  /** Milliseconds; `null`: it failed. */
  readonly durationMs: number | null;
  readonly failure: StepFailure | null;
}

export interface Trying {
  readonly settings: ConnectionSettings;
  /** The scratch database. */
  readonly database: string;
  readonly controls: OperationControls;
  readonly beforeRecord?: (client: Client) => Promise<void>;
}

/**
 * Executes one step in a scratch database, as it would be executed in earnest. That it fails is a result; what it has no part in is
 * thrown.
 *
 * @throws ManageDbError `INTERRUPTED`, `DISK_FULL`, and the connection's codes
 */
export async function tryStep(step: MigrationStep, trying: Trying): Promise<StepTrial> {
  const { settings, database, controls, beforeRecord } = trying;
  const { signal } = controls;
  let durationMs = 0;
  try {
    await runSteps(settings, [step], {
      database,
      ...(signal === undefined ? {} : { signal }),
      ...(beforeRecord === undefined ? {} : { beforeRecord }),
      onRan: (ran) => {
        ({ durationMs } = ran);
      },
    });
    return { durationMs, failure: null };
  } catch (error) {
    if (signal?.aborted || isConnectionLost(error)) throw error;
    const known = error instanceof ManageDbError ? error : asManageDbError(error);
    if (NOT_ITS_OWN.test(known.code)) throw error;
    return { durationMs: null, failure: { code: known.code, message: known.message, hint: known.hint } };
  }
}

const NOT_ITS_OWN =
  /^(INTERRUPTED|DISK_FULL|CONNECTION_.*|HOST_NOT_FOUND|SSL_FAILED|AUTHENTICATION_FAILED|TOO_MANY_.*)$/;
