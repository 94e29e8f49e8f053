import { ok, type RunCheck } from '../check.js';

export const checkTables: RunCheck = async (db, { environment }) => {
  const { rows } = await db.query<{ tables: number; rows: number; unknown: number }>(TABLES);
  const { tables, rows: estimate, unknown } = rows[0] ?? { tables: 0, rows: 0, unknown: 0 };
  if (tables === 0) {
    return {
      status: 'info',
      value: 0,
      detail: 'There are no tables.',
      fix: `manage_db initialize-db --env ${environment}`,
    };
  }
  const detail = `${tables === 1 ? '1 table' : `${tables} tables`} with about ${estimate} rows.`;
  if (unknown === 0) return ok(tables, detail);
  return {
    status: 'info',
    value: tables,
    detail: `${detail} ${neverAnalyzed(tables, unknown)}, so the planner guesses.`,
    fix: 'analyze;',
  };
};

function neverAnalyzed(tables: number, unknown: number): string {
  if (unknown < tables) return `${unknown} of them ${unknown === 1 ? 'was' : 'were'} never analyzed`;
  return tables === 1 ? 'It was never analyzed' : 'None of them was ever analyzed';
}

/*
 * A partitioned table is one with its partitions, and was analyzed where all of them were. Rows are counted where they are: in
 * ordinary tables and partitions. -1 stands for "never analyzed".
 */
const TABLES = `
  with one_table as (
    select coalesce(pg_catalog.sum(c.reltuples) filter (where c.relkind = 'r' and c.reltuples > 0), 0) as rows,
      coalesce(pg_catalog.bool_or(c.reltuples < 0) filter (where c.relkind = 'r'), false) as is_unknown
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p')
      and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db')
    group by case when c.relispartition then pg_catalog.pg_partition_root(c.oid)::oid else c.oid end
  )
  select pg_catalog.count(*)::int as tables, coalesce(pg_catalog.sum(t.rows), 0)::float8 as rows,
    pg_catalog.count(*) filter (where t.is_unknown)::int as unknown
  from one_table t`;
