import type { Queryable } from '../queryable.js';

/** As pg_locks calls them, from the weakest to the strongest. */
export const RELATION_LOCKS = [
  'AccessShareLock',
  'RowShareLock',
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
] as const;

export type RelationLock = (typeof RELATION_LOCKS)[number];

export interface HeldLock {
  readonly oid: number;
  readonly lock: RelationLock;
}

/** The relations of its database that the session of `db` has locked in the open transaction. */
export async function readOwnLocks(db: Queryable): Promise<readonly HeldLock[]> {
  return readLocks(db, 'l.pid = pg_catalog.pg_backend_pid()');
}

/** The relations that other sessions of clients have locked in the database of `db` at this moment. */
export async function readLocksOfOthers(db: Queryable): Promise<readonly HeldLock[]> {
  return readLocks(
    db,
    `l.pid <> pg_catalog.pg_backend_pid() and exists (
       select from pg_catalog.pg_stat_activity a
       where a.pid = l.pid and coalesce(a.backend_type, 'client backend') in ('client backend', 'parallel worker'))`,
  );
}

async function readLocks(db: Queryable, whose: string): Promise<readonly HeldLock[]> {
  const { rows } = await db.query<{ oid: number; lock: RelationLock }>(`
    select distinct l.relation as oid, l.mode as lock
    from pg_catalog.pg_locks l
    where l.locktype = 'relation' and l.granted and ${whose}
      and l.database = (
        select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`);
  return rows;
}
