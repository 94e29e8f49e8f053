import type { Queryable } from '../queryable.js';

export interface LockCapacity {
  /** How many locks the server has room for, all sessions together. */
  readonly locks: number;
  /** About how many locks it takes to drop everything in the users' schemas in one transaction. */
  readonly needed: number;
  /** The server's setting. */
  readonly maxLocksPerTransaction: number;
  /** The setting that makes room for all of it. */
  readonly sufficientSetting: number;
}

/** Compares the server's lock table with what dropping every object at once would take. */
export async function readLockCapacity(db: Queryable): Promise<LockCapacity> {
  const { rows } = await db.query<LockCapacity>(LOCK_CAPACITY);
  const [capacity] = rows;
  if (capacity === undefined) throw new Error('The query always has one row.');
  return capacity;
}

/* DROP locks the relation and everything that goes with it: indexes, TOAST, types, constraints, defaults, triggers, rules. */
const LOCK_CAPACITY = `
  with relation as (
    select c.oid, c.reltoastrelid
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db')
  ), needed as (
    select (select pg_catalog.count(*) + 2 * pg_catalog.count(nullif(reltoastrelid, 0)) from relation)
      + (select pg_catalog.count(*) from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
         where pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db'))
      + (select pg_catalog.count(*) from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
         where pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db'))
      + (select pg_catalog.count(*) from pg_catalog.pg_constraint x join relation on relation.oid = x.conrelid)
      + (select pg_catalog.count(*) from pg_catalog.pg_attrdef x join relation on relation.oid = x.adrelid)
      + (select pg_catalog.count(*) from pg_catalog.pg_trigger x join relation on relation.oid = x.tgrelid)
      + (select pg_catalog.count(*) from pg_catalog.pg_rewrite x join relation on relation.oid = x.ev_class) as locks
  ), server as (
    select pg_catalog.current_setting('max_locks_per_transaction')::int as per_transaction,
      pg_catalog.current_setting('max_connections')::int + pg_catalog.current_setting('max_prepared_transactions')::int
        as transactions
  )
  select (per_transaction * transactions)::float8 as locks, needed.locks::float8 as needed,
    per_transaction as "maxLocksPerTransaction",
    (pg_catalog.ceil(1.2 * needed.locks / transactions / 64) * 64)::int as "sufficientSetting"
  from needed, server`;
