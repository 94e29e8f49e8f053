import type { Queryable } from '../queryable.js';

/** What is made on a table when its rows are there, by its own oid. The kinds are called as in archives of pg_dump. */
export interface TablePart {
  readonly oid: number;
  readonly kind: 'INDEX' | 'CONSTRAINT' | 'FK CONSTRAINT' | 'STATISTICS';
  readonly table: number;
  /** Of a foreign key: the two trees of partitions that take part in it, by their roots. */
  readonly between: readonly number[];
}

/** The indexes, keys, exclusion constraints, foreign keys and extended statistics of ordinary and partitioned tables. */
export async function readTableParts(db: Queryable): Promise<readonly TablePart[]> {
  const { rows } = await db.query<TablePart>(PARTS);
  return rows;
}

const PARTS = `
  select i.indexrelid as oid, 'INDEX' as kind, i.indrelid as "table", '{}'::oid[] as between from pg_catalog.pg_index i
  union all
  select k.oid, case k.contype when 'f' then 'FK CONSTRAINT' else 'CONSTRAINT' end, k.conrelid,
    case k.contype when 'f' then array[
      coalesce(pg_catalog.pg_partition_root(k.conrelid), k.conrelid)::pg_catalog.oid,
      coalesce(pg_catalog.pg_partition_root(k.confrelid), k.confrelid)::pg_catalog.oid] else '{}' end
  from pg_catalog.pg_constraint k where k.contype in ('p', 'u', 'x', 'f')
  union all
  select s.oid, 'STATISTICS', s.stxrelid, '{}' from pg_catalog.pg_statistic_ext s`;
