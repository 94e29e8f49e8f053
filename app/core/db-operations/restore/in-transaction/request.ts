import type { OperationControls } from '../../../progress.js';
import type { Target } from '../../../safety/gate.js';
import type { Manifest } from '../../manifest/manifest.js';

/** For the messages of refusals. */
export const UNCHANGED = 'Nothing was restored.';

export interface TransactionRestore {
  readonly target: Target;
  /** Of the backup. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly serverMajor: number;
  readonly controls: OperationControls;
  /** Backs up what is there: called when nobody writes any more, and before anything is dropped. */
  readonly backUp: (signal: AbortSignal) => Promise<void>;
  /** Says in the same transaction what the database is by that; `null`: what it was. */
  readonly stamp: string | null;
  /** Refuses what must not be committed any more. */
  readonly beforeCommit: () => Promise<void>;
  /** From here on the database is the restored one, whatever fails. */
  readonly onCommitted: () => void;
}
