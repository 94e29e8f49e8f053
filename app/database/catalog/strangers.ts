import type { Queryable } from '../queryable.js';
import { ownTables } from '../records/own-tables.js';

/** What users have put into the schema manage_db, with its schema. */
export interface Strangers {
  readonly relations: readonly string[];
  /** Those of them that are parts of tables elsewhere: partitions and heirs. */
  readonly parts: readonly string[];
}

/** Looks for relations in the schema manage_db that are none of its own. */
export async function readStrangers(db: Queryable): Promise<Strangers> {
  const { rows } = await db.query<Strangers>(STRANGERS, [ownTables()]);
  return rows[0] ?? { relations: [], parts: [] };
}

const STRANGERS = `
  select coalesce(pg_catalog.array_agg(s.name order by s.name), '{}') as relations,
    coalesce(pg_catalog.array_agg(s.name order by s.name) filter (where s.is_part), '{}') as parts
  from (
    select pg_catalog.format('%I.%I', n.nspname, c.relname) as name,
      exists (
        select from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent
        where i.inhrelid = c.oid and p.relnamespace <> c.relnamespace) as is_part
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'manage_db' and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relname::text <> all ($1::text[])) s`;
