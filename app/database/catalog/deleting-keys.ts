import type { Queryable } from '../queryable.js';

/** A foreign key by which rows of one table are changed when rows of another are deleted. */
export interface DeletingKey {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
  readonly referenced: readonly string[];
  readonly action: 'CASCADE' | 'SET NULL' | 'SET DEFAULT' | 'NO ACTION';
}

/** The keys that refer to a table; a partition's belongs to its table. */
export async function readDeletingKeys(db: Queryable, table: string): Promise<readonly DeletingKey[]> {
  const { rows } = await db.query<DeletingKey>(
    `select c.oid::text, n.nspname::text as schema, c.relname::text as name,
       (select pg_catalog.array_agg(a.attname::text order by k.place)
        from pg_catalog.unnest(con.conkey) with ordinality as k (number, place)
        join pg_catalog.pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.number) as columns,
       (select pg_catalog.array_agg(a.attname::text order by k.place)
        from pg_catalog.unnest(con.confkey) with ordinality as k (number, place)
        join pg_catalog.pg_attribute a on a.attrelid = con.confrelid and a.attnum = k.number) as referenced,
       case con.confdeltype when 'c' then 'CASCADE' when 'n' then 'SET NULL' when 'd' then 'SET DEFAULT'
         else 'NO ACTION' end as action
     from pg_catalog.pg_constraint con
     join pg_catalog.pg_class c on c.oid = con.conrelid
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where con.contype = 'f' and con.confrelid = $1::pg_catalog.oid and con.conparentid = 0
     order by n.nspname, c.relname, con.conname`,
    [table],
  );
  return rows;
}
