import type { Queryable } from '../../database/queryable.js';
import { ManageDbError } from '../errors.js';

export interface LockedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** A lock was not to be had in time. The transaction is over; who held it has to be asked on another connection. */
export class TriggerLockError extends Error {
  constructor(
    readonly tables: readonly LockedTable[],
    cause: unknown,
  ) {
    super('a table stayed locked', { cause });
  }
}

interface LockHolder {
  readonly pid: number;
  readonly application: string;
  readonly query: string;
  readonly state: string | null;
  readonly schema: string;
  readonly table: string;
  readonly seconds: number | null;
}

/**
 * The error for a person: which table, and whose session holds it. Only superusers and members of pg_read_all_stats see
 * other users' queries.
 *
 * @param db any session but the one that waited
 */
export async function explainLockTimeout(
  db: Queryable,
  error: TriggerLockError,
  waitedMs: number,
): Promise<ManageDbError> {
  const holders = await readHolders(db, error.tables);
  const first = holders[0];
  const tables =
    error.tables.length === 1 ? 'its table' : `one of ${new Set(error.tables.map(({ oid }) => oid)).size} tables`;
  const who = first === undefined ? `${tables} was locked by a session that has ended since` : describe(first);
  return new ManageDbError('LOCK_TIMEOUT', `No lock within ${waitedMs} ms: ${who}. No trigger was changed.`, {
    hint:
      first === undefined
        ? 'Run it again.'
        : `Wait for that session and run it again, or end it: select pg_terminate_backend(${first.pid});`,
    details: { holders },
    cause: error.cause,
  });
}

function describe({ schema, table, pid, application, query, state, seconds }: LockHolder): string {
  const since = seconds === null ? '' : `, in a transaction for ${seconds} s`;
  const program = application === '' ? 'no application name' : application;
  return `${schema}.${table} is held by process ${pid} (${program}, ${state ?? 'state unknown'}${since}): ${query}`;
}

/** Sessions whose lock conflicts with SHARE ROW EXCLUSIVE on one of the tables or its partitions. */
async function readHolders(db: Queryable, tables: readonly LockedTable[]): Promise<LockHolder[]> {
  const { rows } = await db.query<LockHolder>(
    `
    with recursive wanted (oid) as (
      select pg_catalog.unnest($1::pg_catalog.oid[])
      union
      select i.inhrelid from pg_catalog.pg_inherits i join wanted on i.inhparent = wanted.oid
    )
    select distinct on (l.pid) l.pid, coalesce(a.application_name, '') as application,
      coalesce(pg_catalog.left(pg_catalog.regexp_replace(a.query, '\\s+', ' ', 'g'), 200), '') as query, a.state,
      n.nspname as schema, c.relname as table,
      pg_catalog.round(extract(epoch from pg_catalog.clock_timestamp() - a.xact_start))::integer as seconds
    from pg_catalog.pg_locks l
    join wanted on wanted.oid = l.relation
    join pg_catalog.pg_class c on c.oid = l.relation
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_stat_activity a on a.pid = l.pid
    where l.locktype = 'relation' and l.granted and l.pid <> pg_catalog.pg_backend_pid()
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
      and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
        'ExclusiveLock', 'AccessExclusiveLock')
    order by l.pid, a.xact_start`,
    [tables.map(({ oid }) => oid)],
  );
  return [...rows].sort((a, b) => (b.seconds ?? 0) - (a.seconds ?? 0));
}
