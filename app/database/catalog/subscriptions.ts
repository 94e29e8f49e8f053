import type { Queryable } from '../queryable.js';

/** The subscriptions of this database, quoted where SQL needs it, in order. */
export async function readSubscriptions(db: Queryable): Promise<readonly string[]> {
  const { rows } = await db.query<{ name: string }>(`
    select pg_catalog.quote_ident(s.subname) as name from pg_catalog.pg_subscription s
    join pg_catalog.pg_database d on d.oid = s.subdbid
    where d.datname = pg_catalog.current_database() order by 1`);
  return rows.map(({ name }) => name);
}
