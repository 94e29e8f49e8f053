import { type Client, escapeIdentifier } from 'pg';
import { readDatabasePlace } from '../../../database/catalog/database-place.js';
import type { Queryable } from '../../../database/queryable.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { UnknownOutcome } from '../commit-outcome.js';
import { commentStatement, propertyStatements } from '../database-state/database-properties.js';
import type { DatabaseProperties } from '../manifest/manifest.js';
import { SCRATCH_COMMENT } from '../scratch/scratch-database.js';
import { afterDropping } from '../scratch/with-scratch-database.js';
import { type KeptRecords, keepRecords } from './keep-records.js';
import { begin } from './live-database.js';
import { ownComment } from './previous-database.js';
import { type Placed, putInPlace } from './put-in-place.js';

/** What takes the place of a live database. */
export interface Replacing<Filled, Finished> {
  /** For messages: `the restore`. */
  readonly work: string;
  readonly target: Target;
  readonly disconnectUsers: boolean;
  /** Milliseconds that the replaced database is kept; `null`: not at all. */
  readonly keepMs: number | null;
  readonly reason: string | null;
  readonly controls: OperationControls;
  /** What the contents have where they are from; the live database's own stay where there is one. */
  readonly properties: DatabaseProperties;
  /** The same for the target, where there is none. */
  readonly propertiesAnew: DatabaseProperties;
  /** Creates the scratch database, of which the session `maintenance` says that it lives, where the live one lies. */
  readonly create: (maintenance: Client, tablespace: string | null) => Promise<string>;
  /** Fills it. `close` keeps others out of it, and must be called again when it was made anew. */
  readonly fill: (scratch: string, maintenance: Client, close: () => Promise<void>) => Promise<Filled>;
  /** The last work in it: it has the settings of the live one by now. What it returns is the result. */
  readonly finish: (scratch: string, maintenance: Client, filled: Filled) => Promise<Finished>;
  /** Asked when it is filled. */
  readonly records: () => Pick<KeptRecords, 'arrival' | 'isSameEnvironment' | 'source'>;
  readonly onReplaced: () => void;
}

/**
 * Makes a scratch database, fills it, and puts it in the place of the live one. Until the renaming the live database is
 * untouched, and the scratch database is dropped when anything fails.
 *
 * @param maintenance a session on another database of the server
 * @throws UnknownOutcome; ManageDbError `DATABASE_IN_USE`, `STAMP_MISMATCH`, `KILL_SWITCH`, `INTERRUPTED`, and what
 *   creating and filling throw
 */
export async function replaceBySwap<Filled, Finished extends Pick<Placed, 'warnings'>>(
  maintenance: Client,
  maintenanceDatabase: string,
  replacing: Replacing<Filled, Finished>,
): Promise<Finished & Placed> {
  const { work, target, disconnectUsers, keepMs, reason, controls, create, fill, finish, records, onReplaced } =
    replacing;
  const live = await begin(maintenance, { target, disconnectUsers });
  stopIfAborted(controls.signal);
  controls.onProgress?.({ step: 'creating a scratch database' });
  // from the live one: grants and settings are those of now, and only the contents are replaced
  const properties = live ?? replacing.propertiesAnew;
  const isRestricted = (live ?? replacing.properties).grants !== null;
  const { tablespace, isTemplate } = await readDatabasePlace(maintenance, target.database);
  const scratch = await create(maintenance, tablespace);
  try {
    const close = async (): Promise<void> => {
      // who may not connect to the live one must not read it here, while it is loaded
      if (isRestricted) await maintenance.query(`revoke all on database ${escapeIdentifier(scratch)} from public`);
      // who has rights by owning the database has them already when its contents are looked at
      const owner = escapeIdentifier(properties.owner);
      await maintenance.query(`alter database ${escapeIdentifier(scratch)} owner to ${owner}`);
    };
    await close();
    const filled = await fill(scratch, maintenance, close);
    await applyProperties(maintenance, scratch, properties);
    const finished = await finish(scratch, maintenance, filled);
    await keepRecords(scratch, { work, target, hasLive: live !== null, ...records(), reason, signal: controls.signal });
    const placed = await putInPlace(maintenance, maintenanceDatabase, {
      ...{ work, target, candidate: scratch, live, disconnectUsers, keepMs, controls },
      statements: [
        commentStatement(target.database, ownComment(properties.comment)),
        ...(isTemplate ? [`alter database ${escapeIdentifier(target.database)} is_template true`] : []),
      ],
      wasTemplate: isTemplate,
      onSwapped: onReplaced,
    });
    return { ...finished, ...placed, warnings: [...finished.warnings, ...placed.warnings] };
  } catch (error) {
    if (error instanceof UnknownOutcome) throw error;
    throw await afterDropping(scratch, target.settings, error);
  }
}

/** All but the comment, which comes with the name: by its own a scratch database is recognized. */
async function applyProperties(db: Queryable, scratch: string, properties: DatabaseProperties): Promise<void> {
  // what it was only set to while it was filled: synchronous_commit, and perhaps a search_path
  await db.query(`alter database ${escapeIdentifier(scratch)} reset all`);
  for (const statement of propertyStatements(scratch, { ...properties, comment: SCRATCH_COMMENT }))
    await db.query(statement);
}
