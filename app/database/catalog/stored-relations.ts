import type { Queryable } from '../queryable.js';

/** A relation of the users, and the file that it is stored in. */
export interface StoredRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `r` table, `p` partitioned table, `m` materialized view, `v` view, `f` foreign table, `i` index, `I` partitioned index. */
  readonly kind: 'r' | 'p' | 'm' | 'v' | 'f' | 'i' | 'I';
  /** Of an index: the table that it is on; otherwise the relation itself. */
  readonly tableOid: number;
  /** Changes when everything in it is written anew; `null` for what is not stored. */
  readonly file: number | null;
  /** Of an index by itself; of a table with what is stored out of line, and without its indexes. */
  readonly bytes: number;
  /** `false`: a materialized view that nobody can read before it is refreshed. */
  readonly isPopulated: boolean;
}

/** Every relation outside of PostgreSQL's schemas and manage_db's own, without temporary ones. */
export async function readStoredRelations(db: Queryable): Promise<readonly StoredRelation[]> {
  const { rows } = await db.query<{ [Key in keyof StoredRelation]: StoredRelation[Key] }>(STORED_RELATIONS);
  return rows;
}

const STORED_RELATIONS = `
  select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind,
    coalesce(i.indrelid, c.oid) as "tableOid",
    pg_catalog.pg_relation_filenode(c.oid) as file,
    case when c.relkind in ('r', 'm', 'i') then coalesce(pg_catalog.pg_table_size(c.oid), 0) else 0 end::double precision as bytes,
    c.relispopulated as "isPopulated"
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_index i on i.indexrelid = c.oid
  where c.relkind in ('r', 'p', 'm', 'v', 'f', 'i', 'I') and c.relpersistence <> 't'
    and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'manage_db')
  order by n.nspname, c.relname`;
