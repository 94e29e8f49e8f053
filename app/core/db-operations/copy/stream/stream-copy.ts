import type { Client } from 'pg';
import type { ConnectionSettings } from '../../../../config/connection-settings.js';
import type { CopiedRows } from '../../../../services/connection/copy-between.js';
import type { OperationControls } from '../../../progress.js';
import type { LeftOutParts } from '../../backup/left-out-parts.js';
import type { Entry } from '../../database-state/contents.js';
import type { SelectedColumn, TableToSelect } from '../selected-column.js';
import type { Sessions } from './sessions.js';

export interface StreamCopy {
  readonly source: ConnectionSettings;
  readonly target: ConnectionSettings;
  /** A database on the target's server: empty, and nobody else's. */
  readonly scratch: string;
  readonly sourceMajor: number;
  readonly targetMajor: number;
  /**
   * Another database that the definitions come from, with the settings to reach it: only the rows and the positions of sequences are
   * the source's then. Both have the same tables. By default they are the source's own.
   */
  readonly definitionsFrom?: { readonly settings: ConnectionSettings; readonly major: number };
  /**
   * What is selected from a table instead of its columns, evaluated by the source: what is masked never leaves it otherwise.
   * Generated columns are no part of it. `null`, or nothing at all: the columns as they are. With it, tables of extensions stay as
   * the extension makes them: nobody has decided about rows in them.
   */
  readonly select?: (table: TableToSelect) => readonly SelectedColumn[] | null;
  /** Given a session that sees what is copied, before anything of it is read for the copy. */
  readonly onSnapshot?: (db: Client) => Promise<void>;
  /**
   * Prepares each transaction that copies rows out of the source, when it has begun: the salt of the masking. Also that of a session
   * that takes the place of another one.
   */
  readonly prepareSource?: (client: Client) => Promise<void>;
  readonly leaveOut: LeftOut;
  /**
   * Where sequences stand: as in the source, which is the default; or behind the last value of the columns that they number, as far
   * as they number any. Without rows at all they stand at their start.
   */
  readonly sequences?: 'positions' | 'from-data';
  /** Whether the triggers of users are there before the rows, and fire for each of them; by default they come after. */
  readonly triggers?: 'after' | 'before';
  /**
   * Whether what comes after the rows is tried out on the empty tables before them: by default unless a superuser copies within a server,
   * which has everything then. It takes as long as making all of it, a few milliseconds each.
   */
  readonly rehearse?: boolean;
  /** What the target's server does not have. Nothing by default. */
  readonly parts?: LeftOutParts;
  /** Sessions on either side that copy, and make indexes, at the same time. */
  readonly jobs: number;
  /** How large a part of a table is that sessions share; by default they share what would take longest, from 256 MB on. */
  readonly splitBytes?: number;
  readonly controls: OperationControls;
}

export interface LeftOut {
  readonly largeObjects: boolean;
  /** Tables that stay empty, as `schema.name`, quoted where SQL needs it; with their partitions. */
  readonly rowsOf: readonly string[];
  /** Nothing but definitions comes: no row, no large object. Materialized views are computed from nothing. */
  readonly rows?: 'all';
  /** A schema that stays away with everything in it; the scratch database may have one of that name already. */
  readonly schema?: string;
  /** Definitions that stay away, with what needs them. The source's user mappings and subscriptions do in any case. */
  readonly definitions?: (entry: Entry) => boolean;
}

export interface StreamedCopy {
  /** Those whose rows were copied. `bytes`: as they were sent. */
  readonly tables: readonly CopiedTable[];
  /** ISO, by the clock of the source: the moment of it that the copy shows. */
  readonly at: string;
  /** Materialized views that were not computed, as what they read is on other servers: `schema.name`. */
  readonly unpopulated: readonly string[];
}

export interface CopiedTable extends CopiedRows {
  readonly schema: string;
  readonly name: string;
  /** From the first of its rows to the last. */
  readonly durationMs: number;
}

/** A database at one moment. */
export interface Moment {
  readonly settings: ConnectionSettings;
  readonly major: number;
  /** In the transaction of the snapshot. */
  readonly db: Client;
  readonly snapshot: string;
}

export interface Filling {
  readonly copy: StreamCopy;
  readonly source: Moment;
  /** What the definitions are read from: often the source. */
  readonly blueprint: Moment;
  readonly lockTimeoutMs: number;
  /** For the time of the copy. */
  readonly folder: string;
  readonly sessions: Sessions;
  readonly signal: AbortSignal;
  /** Ends everything that runs. */
  readonly stop: () => void;
}
