import { notFromExtension } from '../../../../database/catalog/catalog-filter.js';
import { listed } from '../../../listed.js';
import { ok, type RunCheck, statements } from '../check.js';
import { SUPPORTS_KEY } from './supporting-index.js';

/** What is asked once a month must have had its chance. */
const ENOUGH_DAYS = 30;
/** Less is not worth the thought. */
const SMALLEST_BYTES = 1_048_576;

interface Counting {
  readonly days: number;
  readonly since: string;
  /** Reads there are counted there, and not here. */
  readonly hasStandbys: boolean;
  readonly isStandby: boolean;
}

export const checkUnusedIndexes: RunCheck = unusedIndexesAfter(ENOUGH_DAYS);

/** @param days for which the server has to have counted the uses of indexes */
export function unusedIndexesAfter(days: number): RunCheck {
  return async (db) => {
    const [counting] = (await db.query<Counting>(COUNTING)).rows;
    if (counting === undefined || counting.days < days) {
      return ok(null, `The uses of indexes are counted for less than ${days} days: too few to say anything.`);
    }
    const { since, hasStandbys, isStandby } = counting;
    if (isStandby) return ok(null, 'This is a standby, which counts only its own reads: ask the primary server.');
    const { rows } = await db.query<{ index: string; size: string; fix: string; look: string }>(UNUSED_INDEXES, [
      SMALLEST_BYTES,
    ]);
    if (rows.length === 0) return ok(0, `Every larger index was used since ${since}.`);
    const where = hasStandbys ? ' The server has standbys, which count their own reads: ask each of them first.' : '';
    return {
      status: 'info',
      value: rows.length,
      detail: `Used by no query since ${since}, or made since then: ${listed(rows.map(({ index, size }) => `${index} (${size})`))}.${where}`,
      fix: statements(rows.map(({ fix, look }) => (hasStandbys ? look : fix))),
    };
  };
}

/* A crash empties all statistics, and does not leave its time with the database, but with those of the whole server. */
const COUNTING = `
  select extract(epoch from pg_catalog.now() - c.since)::float8 / 86400 as days,
    pg_catalog.to_char(c.since at time zone 'UTC', 'YYYY-MM-DD') as since,
    exists (select from pg_catalog.pg_stat_replication)
      or exists (select from pg_catalog.pg_replication_slots s where s.slot_type = 'physical') as "hasStandbys",
    pg_catalog.pg_is_in_recovery() as "isStandby"
  from (
    select greatest(d.stats_reset, b.stats_reset) as since
    from pg_catalog.pg_stat_database d cross join pg_catalog.pg_stat_bgwriter b
    where d.datname = pg_catalog.current_database()
  ) c`;

/*
 * Of an index of a partitioned table, all parts must be unused. What is unique, holds a constraint, serves a foreign key, is
 * the replica identity or gives the planner statistics of an expression does its work without being read.
 */
const UNUSED_INDEXES = `
  with used as (
    select case when i.relispartition then pg_catalog.pg_partition_root(i.oid)::oid else i.oid end as root,
      pg_catalog.sum(pg_catalog.pg_stat_get_numscans(i.oid)) as scans,
      pg_catalog.sum(i.relpages::bigint) * pg_catalog.current_setting('block_size')::bigint as bytes
    from pg_catalog.pg_class i
    join pg_catalog.pg_namespace n on n.oid = i.relnamespace
    where i.relkind = 'i' and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db')
    group by 1
  )
  select i.oid::pg_catalog.regclass::text as index, pg_catalog.pg_size_pretty(u.bytes) as size,
    pg_catalog.format(case i.relkind when 'I' then 'drop index %s' else 'drop index concurrently %s' end,
      i.oid::pg_catalog.regclass) as fix,
    pg_catalog.format('select idx_scan from pg_stat_user_indexes where indexrelid = %L::regclass',
      i.oid::pg_catalog.regclass) as look
  from used u
  join pg_catalog.pg_index x on x.indexrelid = u.root
  join pg_catalog.pg_class i on i.oid = x.indexrelid
  where u.scans = 0 and u.bytes >= $1 and x.indisvalid and x.indexprs is null
    and not x.indisunique and not x.indisexclusion and not x.indisreplident and not x.indisclustered
    and ${notFromExtension('i', 'pg_class')}
    and not exists (select from pg_catalog.pg_constraint k where k.conindid = i.oid)
    and not exists (
      select from pg_catalog.pg_constraint k
      where k.contype = 'f' and k.conrelid = x.indrelid and ${SUPPORTS_KEY})
  order by u.bytes desc, 1`;
