import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';
import { listed } from '../../listed.js';

/** Milliseconds in which a client that has just said goodbye disappears from the server's list. */
const LEAVING_MS = 500;
const CHECK_EVERY_MS = 50;

export interface DatabaseSession {
  readonly pid: number;
  readonly user: string;
  readonly application: string;
}

/**
 * Refuses a database that others are connected to.
 *
 * @throws ManageDbError `DATABASE_IN_USE` naming who uses it
 */
export async function refuseIfInUse(db: Queryable, database: string): Promise<void> {
  let sessions = await sessionsOf(db, database);
  for (let waited = 0; sessions.length > 0 && waited < LEAVING_MS; waited += CHECK_EVERY_MS) {
    await sleep(CHECK_EVERY_MS);
    sessions = await sessionsOf(db, database);
  }
  if (sessions.length > 0) throw inUse(database, sessions);
}

/** Ends every session of the database with this oid; the rename that waits for it lets no new ones in. */
export async function endSessions(db: Queryable, databaseOid: number): Promise<void> {
  await db.query(`select pg_catalog.pg_terminate_backend(a.pid) ${OTHER_SESSIONS} and a.datid = $1`, [databaseOid]);
}

/** Ends every session of `database`, once: new ones may come. */
export async function endSessionsOf(db: Queryable, database: string): Promise<void> {
  await db.query(`select pg_catalog.pg_terminate_backend(a.pid) ${OTHER_SESSIONS} and a.datname = $1`, [database]);
}

/** `psql (pid 3, user app)` */
export function sessionWords({ application, pid, user }: DatabaseSession): string {
  return `${application || 'unnamed'} (pid ${pid}, user ${user})`;
}

/** The error for a database in use; `sessions` may be empty when they were gone before they could be named. */
export function inUse(database: string, sessions: readonly DatabaseSession[]): ManageDbError {
  const count = sessions.length === 1 ? '1 session' : `${sessions.length} sessions`;
  const named = sessions.map(sessionWords);
  const who = sessions.length === 0 ? 'another session' : `${count}: ${listed(named)}`;
  return new ManageDbError('DATABASE_IN_USE', `${database} is in use by ${who}.`, {
    hint: 'End them, or let them be ended: --disconnect-users',
    details: { database, count: sessions.length, sessions: sessions.slice(0, 50) },
  });
}

export async function sessionsOf(db: Queryable, database: string): Promise<DatabaseSession[]> {
  const { rows } = await db.query<DatabaseSession>(
    `select a.pid, a.usename::text as "user", coalesce(a.application_name, '') as application
    ${OTHER_SESSIONS} and a.datname = $1
    order by a.backend_start, a.pid`,
    [database],
  );
  return rows;
}

/**
 * Those that a rename waits for and that are somebody's: autovacuum it ends by itself, and parallel workers go with
 * their leader. Without privileges backend_type is null.
 */
const OTHER_SESSIONS = `
    from pg_catalog.pg_stat_activity a
    where a.pid <> pg_catalog.pg_backend_pid() and a.usesysid is not null
      and coalesce(a.backend_type, 'client backend') in ('client backend', 'walsender')`;
