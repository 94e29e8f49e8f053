import type { Queryable } from '../../../database/queryable.js';
import { ManageDbError } from '../../errors.js';

/**
 * Refuses a database with something that a swap would lose or that would hold it up: a logical replication slot and a
 * subscription stay with the database that is replaced, a prepared transaction cannot be ended by us.
 *
 * @throws ManageDbError `DATABASE_IN_USE`
 */
export async function refuseIfNotSwappable(db: Queryable, database: string): Promise<void> {
  const { rows } = await db.query<{ what: string }>(OBSTACLES, [database]);
  if (rows.length === 0) return;
  const obstacles = rows.map(({ what }) => what);
  throw new ManageDbError('DATABASE_IN_USE', `${database} cannot be replaced while it has ${obstacles.join(', ')}.`, {
    hint: 'Finish the prepared transactions; drop the slots or subscriptions, and create them again after the restore.',
    details: { database, obstacles },
  });
}

const OBSTACLES = `
  select 'the logical replication slot ' || s.slot_name as what
  from pg_catalog.pg_replication_slots s where s.database = $1
  union all
  select 'the subscription ' || s.subname
  from pg_catalog.pg_subscription s
  join pg_catalog.pg_database d on d.oid = s.subdbid where d.datname = $1
  union all
  select 'the prepared transaction ' || p.gid
  from pg_catalog.pg_prepared_xacts p where p.database = $1`;
