import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, escapeIdentifier } from 'pg';
import type { Queryable } from '../../../database/queryable.js';
import { closeEngines } from '../../../services/database-service.js';
import { withConnection } from '../../../services/with-connection.js';
import { type OperationControls, stopIfAborted } from '../../progress.js';
import type { Target } from '../../safety/gate.js';
import { refuseIfChanged } from '../../safety/still-allowed.js';
import { UnknownOutcome } from '../commit-outcome.js';
import type { DatabaseProperties } from '../manifest/manifest.js';
import { dropDatabase } from '../scratch/scratch-database.js';
import { type Swap, swapDatabases, takeFreeName } from '../swap/swap.js';
import { carryLate } from './keep-records.js';
import { KEPT_BY_DEFAULT_MS } from './keeping.js';
import { planPrevious, previousStatement } from './previous-database.js';

export interface Placing {
  /** For messages: `the restore`. */
  readonly work: string;
  readonly target: Target;
  /** The database that takes the place, complete and checked. */
  readonly candidate: string;
  /** Of the database that is there; `null`: there is none. */
  readonly live: DatabaseProperties | null;
  /** What is done to the candidate in the transaction of the renaming, under its new name. */
  readonly statements: readonly string[];
  /** A template cannot be dropped: what is put aside is none any more. */
  readonly wasTemplate?: boolean;
  readonly disconnectUsers: boolean;
  /** Milliseconds that the replaced database is kept; `null`: it is dropped. */
  readonly keepMs: number | null;
  readonly controls: OperationControls;
  readonly onSwapped: () => void;
}

export interface Placed {
  /** What the replaced database is called now; `null` when there was none or it was dropped. */
  readonly previousDatabase: string | null;
  /** ISO; it is not dropped before. */
  readonly previousUntil: string | null;
  readonly warnings: readonly string[];
}

/** Milliseconds that our own sessions get to end; one that is kept open is then named like any other. */
const OWN_SESSIONS_MS = 2000;

/**
 * Puts `candidate` in the place of the live database by renaming both, unless somebody has forbidden it meanwhile.
 *
 * @param maintenance the session that holds the lock on restores, on another database of the server
 */
export async function putInPlace(maintenance: Client, maintenanceDatabase: string, placing: Placing): Promise<Placed> {
  const { target, candidate, live, statements, disconnectUsers, keepMs, controls, onSwapped } = placing;
  const { database, settings } = target;
  // another operation of this process may have been refused meanwhile, and have written that down
  await ownSessionsEnded(target);
  stopIfAborted(controls.signal);
  controls.onProgress?.({ step: 'swapping' });
  const anew: Swap['anew'] = (work) => withConnection(settings, { database: maintenanceDatabase }, work);
  const swapped = (swapping: Promise<void>): Promise<void> =>
    swapping.then(onSwapped, (error: unknown) => {
      // nobody may say that nothing was changed
      if (error instanceof UnknownOutcome) onSwapped();
      throw error;
    });
  if (live === null) {
    await swapped(takeFreeName(maintenance, { live: database, scratch: candidate, statements, anew }));
    return { previousDatabase: null, previousUntil: null, warnings: [] };
  }
  const previous = await planPrevious(maintenance, database, keepMs ?? KEPT_BY_DEFAULT_MS);
  const marking = previousStatement(previous, { database, comment: live.comment });
  const noTemplate = placing.wasTemplate ? [`alter database ${escapeIdentifier(previous.name)} is_template false`] : [];
  await withConnection(settings, {}, (present) => refuseIfChanged(present, target, placing.work));
  await swapped(
    anew((second) =>
      swapDatabases(maintenance, second, {
        live: database,
        scratch: candidate,
        previous: previous.name,
        disconnectUsers,
        statements: [...statements, marking, ...noTemplate],
        anew,
      }),
    ),
  );
  const missing = await carryLate(previous.name, target);
  if (keepMs === null && missing === null && (await isDropped(maintenance, previous.name)))
    return { previousDatabase: null, previousUntil: null, warnings: [] };
  const warnings = missing === null ? [] : [missing];
  return { previousDatabase: previous.name, previousUntil: previous.until.toISOString(), warnings };
}

export async function ownSessionsEnded({ environment }: Target): Promise<void> {
  await Promise.race([closeEngines(environment), sleep(OWN_SESSIONS_MS, undefined, { ref: false })]);
}

/** The live database is the new one by now: a previous one that cannot be dropped is kept, not a failure. */
function isDropped(db: Queryable, database: string): Promise<boolean> {
  return dropDatabase(db, database).then(
    () => true,
    () => false,
  );
}
