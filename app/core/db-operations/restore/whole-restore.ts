import type { OperationControls } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import type { LeftOutParts } from '../backup/left-out-parts.js';
import type { Manifest, TableRows } from '../manifest/manifest.js';
import type { Source } from './other-environment.js';
import type { Placed } from './put-in-place.js';

/** The restore of all of a database, whatever the method. */
export interface WholeRestore {
  readonly target: Target;
  /** Of the backup, whose files are what the manifest says. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly source: Source;
  readonly parts: LeftOutParts;
  /** Roles that the backup refers to and the server does not have. */
  readonly missingRoles: readonly string[];
  readonly reason: string | null;
  readonly disconnectUsers: boolean;
  /** Milliseconds that the replaced database is kept; `null`: not at all. */
  readonly keepMs: number | null;
  readonly controls: OperationControls;
  /** From here on the database is the restored one, whatever fails; a sentence that says so. */
  readonly onReplaced: (sentence: string) => void;
}

export interface Replaced extends Placed {
  /** The backup of what was replaced in one transaction; `null` after a swap. */
  readonly safetyBackup: string | null;
  /** Those of the users. */
  readonly tables: readonly TableRows[];
}
