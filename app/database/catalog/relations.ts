import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema, notFromExtension } from './catalog-filter.js';

export type RelationKind =
  | 'table'
  | 'partitioned table'
  | 'partition'
  | 'view'
  | 'materialized view'
  | 'foreign table'
  | 'sequence';

export interface Relation {
  readonly schema: string;
  readonly name: string;
  /** A partition that is itself partitioned, or that is a foreign table, is called by what it is. */
  readonly kind: RelationKind;
  /** Rows by the latest ANALYZE or VACUUM; null when there was none, and for what has no rows of its own. */
  readonly rowEstimate: number | null;
  /** Of a materialized view: whether it has been filled and may be read. */
  readonly populated: boolean | null;
  /** Bytes on disk with indexes and TOAST; null, as its parts are, while another session locks the relation exclusively. */
  readonly sizeBytes: number | null;
  /** Its rows, with the maps of free space and visibility. */
  readonly tableBytes: number | null;
  readonly indexBytes: number | null;
  /** Values that are too long for a row, with their index. */
  readonly toastBytes: number | null;
  readonly comment: string | null;
}

/**
 * Tables, views, sequences and their like, by schema and name. A partitioned table counts the rows and bytes of all its
 * partitions. What came with an extension is left out, unless `filter.relation` names it.
 */
export async function readRelations(db: Queryable, filter: CatalogFilter = {}): Promise<readonly Relation[]> {
  const { rows } = await db.query<Relation>(RELATIONS, filterValues(filter));
  return rows;
}

/*
 * pg_relation_size and its like wait for an ACCESS EXCLUSIVE lock, also for one that is only waited for: such relations give
 * null, so that looking at a database does not hang behind a migration. pg_partition_tree would lock as well, hence the
 * recursive query. "-1" is what reltuples says about a table that was never analyzed (PostgreSQL 14).
 */
const RELATIONS = `
  with recursive relation as (
    select c.oid, c.relkind, c.relispartition, c.relispopulated, c.relname, n.nspname
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
      and ${inUserSchema('n')}
      and ($2::text is null or c.relname = $2::text)
      and ($2::text is not null or ${notFromExtension('c', 'pg_class')})
  ), storage as (
    select oid as root, oid from relation
    union all
    select storage.root, i.inhrelid
    from storage
    join pg_catalog.pg_class parent on parent.oid = storage.oid and parent.relkind = 'p'
    join pg_catalog.pg_inherits i on i.inhparent = parent.oid
  ), locked as (
    select distinct coalesce(x.indrelid, l.relation) as oid
    from pg_catalog.pg_locks l
    left join pg_catalog.pg_index x on x.indexrelid = l.relation
    where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.pid <> pg_catalog.pg_backend_pid()
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  ), measured as (
    select storage.root,
      pg_catalog.sum(c.reltuples) filter (where c.reltuples >= 0 and c.relkind in ('r', 'm', 'f')) as row_estimate,
      coalesce(pg_catalog.sum(bytes.of_table), 0)::float8 as table_bytes,
      coalesce(pg_catalog.sum(bytes.of_indexes), 0)::float8 as index_bytes,
      coalesce(pg_catalog.sum(bytes.of_toast), 0)::float8 as toast_bytes,
      pg_catalog.bool_or(locked.oid is not null) as is_locked
    from storage
    join pg_catalog.pg_class c on c.oid = storage.oid
    left join locked on locked.oid = c.oid
    cross join lateral (
      -- nothing but a CASE keeps the functions from being called
      select case when locked.oid is null and c.relkind in ('r', 'm', 'S') then
          pg_catalog.pg_relation_size(c.oid, 'main') + pg_catalog.pg_relation_size(c.oid, 'fsm')
          + pg_catalog.pg_relation_size(c.oid, 'vm') + pg_catalog.pg_relation_size(c.oid, 'init') end as of_table,
        case when locked.oid is null then pg_catalog.pg_indexes_size(c.oid) end as of_indexes,
        case when locked.oid is null and c.reltoastrelid <> 0 then pg_catalog.pg_total_relation_size(c.reltoastrelid) end as of_toast
    ) bytes
    group by storage.root
  )
  select r.nspname::text as schema, r.relname::text as name,
    case
      when r.relkind = 'p' then 'partitioned table'
      when r.relkind = 'f' then 'foreign table'
      when r.relkind = 'v' then 'view'
      when r.relkind = 'm' then 'materialized view'
      when r.relkind = 'S' then 'sequence'
      when r.relispartition then 'partition'
      else 'table'
    end as kind,
    m.row_estimate::float8 as "rowEstimate",
    case when r.relkind = 'm' then r.relispopulated end as populated,
    case when not m.is_locked then m.table_bytes + m.index_bytes + m.toast_bytes end as "sizeBytes",
    case when not m.is_locked then m.table_bytes end as "tableBytes",
    case when not m.is_locked then m.index_bytes end as "indexBytes",
    case when not m.is_locked then m.toast_bytes end as "toastBytes",
    pg_catalog.obj_description(r.oid, 'pg_class') as comment
  from relation r
  join measured m on m.root = r.oid
  order by 1, 2`;
