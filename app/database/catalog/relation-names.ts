import type { Queryable } from '../queryable.js';

export interface RelationName {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** The names of all relations of the users' schemas, also those of extensions and of manage_db: for looking one up. */
export async function readRelationNames(db: Queryable): Promise<readonly RelationName[]> {
  const { rows } = await db.query<RelationName>(RELATION_NAMES);
  return rows;
}

const RELATION_NAMES = `
  select c.oid, n.nspname::text as schema, c.relname::text as name
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
    and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'
  order by 2, 3`;
