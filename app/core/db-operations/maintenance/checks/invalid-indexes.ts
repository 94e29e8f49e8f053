import { listed } from '../../../listed.js';
import { ok, type RunCheck, statements } from '../check.js';

export const checkInvalidIndexes: RunCheck = async (db) => {
  const { rows } = await db.query<{ index: string; fix: string }>(INVALID_INDEXES);
  if (rows.length === 0) return ok(0, 'Every index is valid.');
  return {
    status: 'warning',
    value: rows.length,
    detail: `Left over from a failed CREATE INDEX CONCURRENTLY; they slow down writes and serve no query: ${listed(rows.map(({ index }) => index))}.`,
    fix: statements(rows.map(({ fix }) => fix)),
  };
};

/*
 * An index that is being built right now is invalid too, and in order. The leftovers of REINDEX CONCURRENTLY (_ccnew,
 * _ccold) are doubles of a valid index and are dropped instead of built again. An index of a partitioned table is
 * invalid until every partition has its own: that is a migration half done, and not for this check.
 */
const INVALID_INDEXES = `
  select pg_catalog.format('%I.%I', n.nspname, i.relname) as index,
    pg_catalog.format(
      case when i.relname ~ '_cc(new|old)[0-9]*$' then 'drop index concurrently %I.%I' else 'reindex index concurrently %I.%I' end,
      n.nspname, i.relname
    ) as fix
  from pg_catalog.pg_index x
  join pg_catalog.pg_class i on i.oid = x.indexrelid and i.relkind = 'i'
  join pg_catalog.pg_namespace n on n.oid = i.relnamespace
  where not x.indisvalid
    and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'
    and not exists (
      select from pg_catalog.pg_stat_progress_create_index p
      where p.datid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
        and p.relid = x.indrelid
    )
  order by 1`;
