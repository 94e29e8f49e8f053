import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';

export interface Index {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly definition: string;
  readonly unique: boolean;
  readonly primary: boolean;
  /** False after a CREATE INDEX CONCURRENTLY that failed or still runs: it costs writes and serves no query. */
  readonly valid: boolean;
  /** Bytes; null while another session locks the index exclusively. */
  readonly sizeBytes: number | null;
  /** How often queries have used it since the server's statistics were reset. */
  readonly scans: number;
  /** Whether it tells rows apart for logical replication. */
  readonly isReplicaIdentity: boolean;
  readonly comment: string | null;
}

/** The indexes of tables and materialized views; the one of the primary key first. */
export async function readIndexes(db: Queryable, filter: CatalogFilter = {}): Promise<readonly Index[]> {
  const { rows } = await db.query<Index>(INDEXES, filterValues(filter));
  return rows;
}

/* pg_relation_size waits for an ACCESS EXCLUSIVE lock on the index: such indexes give null. */
const INDEXES = withQualifiedNames(
  `
  select n.nspname::text as schema, c.relname::text as "table", i.relname::text as name,
    pg_catalog.pg_get_indexdef(x.indexrelid) as definition,
    x.indisunique as "unique", x.indisprimary as "primary", x.indisvalid as valid,
    case when not exists (
      select from pg_catalog.pg_locks l
      where l.locktype = 'relation' and l.relation = x.indexrelid and l.mode = 'AccessExclusiveLock'
        and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
        and l.pid <> pg_catalog.pg_backend_pid()
    ) then pg_catalog.pg_relation_size(x.indexrelid)::float8 end as "sizeBytes",
    pg_catalog.pg_stat_get_numscans(x.indexrelid)::float8 as scans,
    x.indisreplident as "isReplicaIdentity",
    pg_catalog.obj_description(x.indexrelid, 'pg_class') as comment
  from pg_catalog.pg_index x
  join pg_catalog.pg_class i on i.oid = x.indexrelid
  join pg_catalog.pg_class c on c.oid = x.indrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm')
    and ${inUserSchema('n')}
    and ($2::text is null or c.relname = $2::text)`,
  'schema, "table", "primary" desc, name',
);
