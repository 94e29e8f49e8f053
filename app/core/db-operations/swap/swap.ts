import { setTimeout as sleep } from 'node:timers/promises';
import { escapeIdentifier } from 'pg';
import type { Queryable } from '../../../database/queryable.js';
import { codeOf } from '../../errors.js';
import { type Committing, CURRENT_TRANSACTION, isCommitted } from '../commit-outcome.js';
import { endSessions, inUse, sessionsOf } from '../database-state/sessions.js';
import { compactTime } from '../manifest/backup-id.js';

export interface Swap {
  /** The name that changes hands. */
  readonly live: string;
  readonly scratch: string;
  /** What the live database is called afterwards. */
  readonly previous: string;
  readonly disconnectUsers: boolean;
  /** What belongs to the change of names, under the new ones: all of it happens, or nothing. */
  readonly statements?: readonly string[];
  readonly anew: Committing['anew'];
}

/** Milliseconds to wait for whoever else works on the database itself (a rename, a copy from it). */
const LOCK_TIMEOUT_MS = 10_000;

/** Milliseconds between two rounds of ending sessions, while the rename waits for them. */
const END_EVERY_MS = 20;

/**
 * Puts the scratch database in the place of the live one: two renames in one transaction, so that a crash leaves
 * either both names as they were or both new. New clients wait for it at the door, under 300 ms.
 *
 * Both connections are to another database of the server; `second` ends the sessions that the rename waits for.
 *
 * @throws ManageDbError `DATABASE_IN_USE`; the live database is unchanged then. UnknownOutcome
 */
export async function swapDatabases(db: Queryable, second: Queryable, swap: Swap): Promise<void> {
  const { live, scratch, previous, disconnectUsers, statements = [] } = swap;
  const liveOid = await oidOf(second, live);
  const scratchOid = await oidOf(second, scratch);
  let waitsFor = live;
  try {
    await db.query('begin');
    await db.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
    const leaving = renameDatabase(db, live, previous);
    await (disconnectUsers ? endSessionsUntil(leaving, second, liveOid) : leaving);
    waitsFor = scratch;
    const coming = renameDatabase(db, scratch, live);
    await (disconnectUsers ? endSessionsUntil(coming, second, scratchOid) : coming);
    for (const statement of statements) await db.query(statement);
    await commit(db, swap);
  } catch (error) {
    await db.query('rollback').catch(() => undefined);
    if (codeOf(error) === '55006') throw inUse(waitsFor, await sessionsOf(second, waitsFor));
    throw error;
  }
}

/** Gives the scratch database the name of a live one that is missing; one that has appeared meanwhile makes it fail. */
export async function takeFreeName(
  db: Queryable,
  swap: Pick<Swap, 'live' | 'scratch' | 'statements' | 'anew'>,
): Promise<void> {
  const { live, scratch, statements = [] } = swap;
  await db.query('begin');
  try {
    await renameDatabase(db, scratch, live);
    for (const statement of statements) await db.query(statement);
    await commit(db, swap);
  } catch (error) {
    await db.query('rollback').catch(() => undefined);
    throw error;
  }
}

/**
 * Commits, and lets nobody be told of a failure where the connection was lost after the commit had arrived.
 *
 * @throws UnknownOutcome
 */
async function commit(db: Queryable, { live, anew }: Pick<Swap, 'live' | 'anew'>): Promise<void> {
  const { rows } = await db.query<{ xid: string }>(CURRENT_TRANSACTION);
  const xid = rows[0]?.xid ?? '';
  try {
    await db.query('commit');
  } catch (error) {
    if (!(await isCommitted({ xid, what: `the replacement of ${live}`, anew }))) throw error;
  }
}

/** No database of that name may be there yet, and nobody may be connected to it. */
async function renameDatabase(db: Queryable, from: string, to: string): Promise<void> {
  await db.query(`alter database ${escapeIdentifier(from)} rename to ${escapeIdentifier(to)}`);
}

/** `clinic_previous_20261121t033400`, shortened to what PostgreSQL takes as a name (63 bytes). */
export function previousName(database: string, at: Date): string {
  const suffix = `_previous_${compactTime(at).toLowerCase()}`;
  let stem = database;
  while (Buffer.byteLength(stem + suffix) > 63) stem = [...stem].slice(0, -1).join('');
  return stem + suffix;
}

async function endSessionsUntil(renaming: Promise<unknown>, second: Queryable, databaseOid: number): Promise<void> {
  let isOver = false;
  const over = renaming.finally(() => {
    isOver = true;
  });
  over.catch(() => undefined);
  try {
    while (!isOver) {
      await endSessions(second, databaseOid);
      await Promise.race([over, sleep(END_EVERY_MS)]);
    }
  } catch (error) {
    // not allowed to end them: the rename gives up by itself, and its reason is then the smaller one
    await over.catch(() => undefined);
    throw error;
  }
  await over;
}

async function oidOf(db: Queryable, database: string): Promise<number> {
  const { rows } = await db.query<{ oid: number }>('select d.oid from pg_catalog.pg_database d where d.datname = $1', [
    database,
  ]);
  const oid = rows[0]?.oid;
  if (oid === undefined) throw new Error(`The database ${database} has disappeared.`);
  return oid;
}
