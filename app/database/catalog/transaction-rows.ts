import type { Queryable } from '../queryable.js';

/** What the open transaction has done to the rows of a table so far. */
export interface TransactionRows {
  readonly oid: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** The tables of users whose rows the open transaction of `db` has changed. A rewrite by ALTER TABLE does not count. */
export async function readTransactionRows(db: Queryable): Promise<readonly TransactionRows[]> {
  const { rows } = await db.query<{ [Key in keyof TransactionRows]: TransactionRows[Key] }>(`
    select s.relid as oid, s.n_tup_ins::double precision as inserted, s.n_tup_upd::double precision as updated,
      s.n_tup_del::double precision as deleted
    from pg_catalog.pg_stat_xact_user_tables s
    where s.schemaname <> 'manage_db' and s.schemaname !~ '^pg_' and s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0
    order by s.schemaname, s.relname`);
  return rows;
}
