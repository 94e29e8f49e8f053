import { isDeepStrictEqual } from 'node:util';
import type { Client } from 'pg';
import { readStamp } from '../../database/records/identity.js';
import { readObservation } from '../../database/records/observation.js';
import { readLogState, readOperationLog } from '../../database/records/operation-log.js';
import { withConnection, withMaintenanceConnection } from '../../services/with-connection.js';
import { ManageDbError } from '../errors.js';
import { nearest } from '../nearest.js';
import { nextCommand } from '../next-command.js';
import { type OperationControls, stopIfAborted } from '../progress.js';
import { guarded, type OperationOptions, type Permit, type Target } from '../safety/gate.js';
import { hasWholeLog } from '../safety/operation-log/carry-over.js';
import { commentStatement, readDatabaseProperties, replacingStatements } from './database-state/database-properties.js';
import { refuseIfInUse } from './database-state/sessions.js';
import { explained } from './failure.js';
import type { DatabaseProperties } from './manifest/manifest.js';
import { type FreeSpace, readFreeSpace } from './restore/free-space.js';
import { keepRecords } from './restore/keep-records.js';
import { type Keeping, keptFor } from './restore/keeping.js';
import { begin, describeUnchanged } from './restore/live-database.js';
import { listPrevious, type PreviousDatabase } from './restore/previous-database.js';
import { ownSessionsEnded, type Placed, putInPlace } from './restore/put-in-place.js';
import { refuseIfNotSwappable } from './swap/swap-preconditions.js';

export type { PreviousDatabase } from './restore/previous-database.js';

export interface ListedPreviousDatabases {
  /** Of every database of the server, the newest first. */
  readonly previousDatabases: readonly PreviousDatabase[];
  /** Bytes where the server keeps its databases; `'unknown'` where that cannot be seen from here. */
  readonly freeBytes: FreeSpace;
}

export interface UndoRestoreOptions extends OperationOptions {
  /** The previous database; the newest one of the target without it. */
  readonly name?: string | undefined;
  /** Ends the sessions of both databases at the moment of the swap; without it one in use is refused. */
  readonly disconnectUsers?: boolean | undefined;
  /** How long the database that is replaced is kept in its turn: milliseconds; 24 hours by default. */
  readonly keepPrevious?: Exclude<Keeping, false> | undefined;
}

export interface UndoneRestore extends Placed {
  readonly environment: string;
  readonly database: string;
  /** What the database was called that is back. */
  readonly from: string;
  readonly strategy: 'swap';
  readonly durationMs: number;
}

/**
 * The databases that restores have put aside, and how long each is kept.
 *
 * @throws ManageDbError the configuration's and the connection's codes
 * @example const { previousDatabases } = await listPreviousDatabases({ env: 'production' });
 */
export function listPreviousDatabases(options: OperationOptions = {}): Promise<ListedPreviousDatabases> {
  return guarded('list-previous-databases', options, ({ settings }) =>
    withMaintenanceConnection(settings, async (maintenance) => ({
      previousDatabases: await listPrevious(maintenance),
      freeBytes: await readFreeSpace(maintenance),
    })),
  );
}

/**
 * Puts a previous database in its place again, by the same swap as a restore. The one that is replaced is kept as the
 * previous one, so that this can be undone too. Grants, settings and everything that manage_db knows stay those of now.
 *
 * @throws ManageDbError `NOT_FOUND`, `USAGE`, `DATABASE_IN_USE`, `STAMP_MISMATCH`, `KILL_SWITCH`, `PERMISSION_DENIED`,
 *   `INTERRUPTED`, and what the gate and connecting throw
 * @example await undoRestore({ env: 'development', consent: { yes: true } });
 */
export function undoRestore(options: UndoRestoreOptions = {}): Promise<UndoneRestore> {
  return guarded('undo-restore', options, (target, permit) =>
    undo(target, { ...options, command: 'undo-restore' }, permit),
  );
}

/**
 * Puts back what a copy has replaced; in everything as {@link undoRestore}.
 *
 * @throws ManageDbError as {@link undoRestore}
 * @example await undoCopy({ env: 'testing', consent: { yes: true } });
 */
export function undoCopy(options: UndoRestoreOptions = {}): Promise<UndoneRestore> {
  return guarded('undo-copy', options, (target, permit) => undo(target, { ...options, command: 'undo-copy' }, permit));
}

type UndoCommand = 'undo-restore' | 'undo-copy';

async function undo(
  target: Target,
  options: UndoRestoreOptions & { readonly command: UndoCommand },
  { reason }: Permit,
): Promise<UndoneRestore> {
  const startedAt = Date.now();
  const { onProgress, signal } = options;
  const request: Undo = {
    target,
    command: options.command,
    name: options.name,
    reason,
    disconnectUsers: options.disconnectUsers === true,
    keepMs: keptFor(options.keepPrevious ?? true),
    controls: { ...(onProgress === undefined ? {} : { onProgress }), ...(signal === undefined ? {} : { signal }) },
  };
  let isSwapped = false;
  try {
    await ownSessionsEnded(target);
    const done = await withMaintenanceConnection(target.settings, (maintenance, database) =>
      putBack(maintenance, database, request, () => {
        isSwapped = true;
      }),
    );
    const { environment, database } = target;
    return { environment, database, ...done, strategy: 'swap', durationMs: Date.now() - startedAt };
  } catch (error) {
    throw isSwapped ? error : explained(error, describeUnchanged(target), signal);
  }
}

interface Undo {
  readonly target: Target;
  readonly command: UndoCommand;
  readonly name: string | undefined;
  readonly reason: string | null;
  readonly disconnectUsers: boolean;
  readonly keepMs: number | null;
  readonly controls: OperationControls;
}

async function putBack(
  maintenance: Client,
  maintenanceDatabase: string,
  { target, command, name, reason, disconnectUsers, keepMs, controls }: Undo,
  onSwapped: () => void,
): Promise<Placed & Pick<UndoneRestore, 'from'>> {
  const { database, settings } = target;
  const { signal } = controls;
  // found first: its time may be over, and nobody has asked to drop it
  const previous = choose(await listPrevious(maintenance), database, name);
  if (name === undefined && target.exists) await refuseOlder(previous, target, command);
  const live = await begin(maintenance, { target, disconnectUsers, spare: previous.name });
  await refuseIfNotSwappable(maintenance, previous.name);
  if (!disconnectUsers) await refuseIfInUse(maintenance, previous.name);
  stopIfAborted(signal);
  const was = await readDatabaseProperties(maintenance, previous.name);
  if (was === null) throw notFound(`${previous.name} has gone in this moment.`);
  controls.onProgress?.({ step: 'carrying the operation log over' });
  const isSameEnvironment = await withConnection(settings, { database: previous.name, signal }, async (contents) => {
    if (live !== null) await refuseUnknownEntries(target, contents);
    const { hasRecords } = await readObservation(contents);
    return !hasRecords || (await readStamp(contents))?.environment === target.environment;
  });
  await keepRecords(previous.name, {
    work: 'it',
    target,
    hasLive: live !== null,
    arrival: { became: 'returned' },
    isSameEnvironment,
    source: null,
    reason,
    signal,
  });
  const placed = await putInPlace(maintenance, maintenanceDatabase, {
    work: 'it',
    target,
    candidate: previous.name,
    live,
    statements: changesOf(database, { ...was, comment: previous.comment }, live),
    disconnectUsers,
    keepMs,
    controls,
    onSwapped,
  });
  return { ...placed, from: previous.name };
}

/** Nobody has said which one, and what came after it would be undone as well. */
async function refuseOlder(previous: PreviousDatabase, target: Target, command: UndoCommand): Promise<void> {
  const after = await withConnection(target.settings, {}, (present) => findLaterChange(present, previous.since));
  if (after === null) return;
  throw new ManageDbError(
    'USAGE',
    `${previous.name} is the newest previous database, and ${after} since then, of which no database was kept. Nothing was changed.`,
    {
      hint: `If that one is meant: manage_db ${command} ${previous.name} --env ${target.environment}. See: ${nextCommand('list-previous-databases')}`,
      details: { previousDatabase: previous.name, since: previous.since },
    },
  );
}

/** What has replaced or altered a database after that moment, in words. */
async function findLaterChange(present: Client, since: string): Promise<string | null> {
  if (!(await readObservation(present)).hasRecords) return null;
  const stamp = await readStamp(present);
  const became = stamp?.lineage[0]?.became;
  const isLater = stamp !== null && Date.parse(stamp.stampedAt) > Date.parse(since);
  if (isLater && (became === 'copied' || became === 'restored')) return `the database was ${became}`;
  if ((await readLogState(present)) !== 'readable') return null;
  const entries = await readOperationLog(present, { operation: 'copy-db', event: 'succeeded', since, limit: 100 });
  return entries.some(({ details }) => 'schemaUpdate' in details) ? 'its definitions were updated' : null;
}

function choose(all: readonly PreviousDatabase[], database: string, name: string | undefined): PreviousDatabase {
  const own = all.filter((previous) => previous.database === database);
  const found = name === undefined ? own[0] : own.find((previous) => previous.name === name);
  if (found !== undefined) return found;
  const names = own.map((previous) => previous.name);
  const wanted = name === undefined ? 'no previous database' : `no previous database ${name}`;
  const suggestion = name === undefined ? null : nearest(name, names);
  throw notFound(`${database} has ${wanted}.`, suggestion === null ? undefined : `Did you mean ${suggestion}?`, {
    name: name ?? null,
    database,
    previousDatabases: names,
  });
}

function notFound(
  message: string,
  hint = `See what there is: ${nextCommand('list-previous-databases')}`,
  details: Readonly<Record<string, unknown>> = {},
): ManageDbError {
  return new ManageDbError('NOT_FOUND', message, { hint, details });
}

/** Carrying the log over would lose them. */
async function refuseUnknownEntries({ settings, database }: Target, contents: Client): Promise<void> {
  const isKnown = await withConnection(settings, {}, (present) => hasWholeLog(present, contents));
  if (isKnown) return;
  throw new ManageDbError(
    'DATABASE_IN_USE',
    `The previous database has logged operations that the log of ${database} does not have.`,
    { hint: `Compare both with ${nextCommand('show-operation-log')}, and rename them by hand when that is meant.` },
  );
}

/** Grants and settings of now, and the comment that it had, or that the live one has. */
function changesOf(database: string, was: DatabaseProperties, live: DatabaseProperties | null): string[] {
  const wanted = live ?? was;
  const changeable = ({ owner, connectionLimit, grants, settings }: DatabaseProperties) => ({
    owner,
    connectionLimit,
    grants,
    settings,
  });
  return isDeepStrictEqual(changeable(was), changeable(wanted))
    ? [commentStatement(database, wanted.comment)]
    : replacingStatements(database, was, wanted);
}
