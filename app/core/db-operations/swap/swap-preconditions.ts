import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';

/**
 * Refuses a database with something that a swap would lose or that would hold it up: a logical replication slot and a
 * subscription stay with the database that is replaced, a prepared transaction cannot be ended by us.
 *
 * @throws ManageDbError `DATABASE_IN_USE`
 */
export async function refuseIfNotSwappable(db: Queryable, database: string): Promise<void> {
  const found = await readSwapObstacles(db, database);
  if (found.length === 0) return;
  const obstacles = found.map(({ what }) => what);
  const isTied = found.some(({ kind }) => kind === 'tied');
  throw new ManageDbError('DATABASE_IN_USE', `${database} cannot be replaced while it has ${obstacles.join(', ')}.`, {
    hint: isTied
      ? 'It belongs to the database itself, and would not come along: drop it first. A restore by --method transaction keeps it.'
      : 'Finish the prepared transactions.',
    details: { database, obstacles },
  });
}

export interface SwapObstacle {
  /** `tied`: it would stay with the database that is replaced; `waiting`: it has to be finished first, by somebody else. */
  readonly kind: 'tied' | 'waiting';
  readonly what: string;
}

/** What a swap of `database` would lose, or wait for. */
export async function readSwapObstacles(db: Queryable, database: string): Promise<readonly SwapObstacle[]> {
  const { rows } = await db.query<SwapObstacle>(OBSTACLES, [database]);
  return rows;
}

const OBSTACLES = `
  select 'tied' as kind, 'the logical replication slot ' || s.slot_name as what
  from pg_catalog.pg_replication_slots s where s.database = $1
  union all
  select 'tied', 'the subscription ' || s.subname
  from pg_catalog.pg_subscription s
  join pg_catalog.pg_database d on d.oid = s.subdbid where d.datname = $1
  union all
  -- pg_cron works in one database of a server, and does not come back when it is taken away
  select 'tied', 'pg_cron, which works in this database'
  where pg_catalog.current_setting('cron.database_name', true) = $1
  union all
  select 'waiting', 'the prepared transaction ' || p.gid
  from pg_catalog.pg_prepared_xacts p where p.database = $1`;
