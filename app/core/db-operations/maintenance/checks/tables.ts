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
  const detail = `${tables} tables with about ${estimate} rows.`;
  if (unknown === 0) return ok(tables, detail);
  return {
    status: 'info',
    value: tables,
    detail: `${detail} ${unknown} of them were never analyzed, so the planner guesses.`,
    fix: 'analyze;',
  };
};

/* Rows are counted where they are: in ordinary tables and partitions. -1 stands for "never analyzed". */
const TABLES = `
  select pg_catalog.count(*) filter (where not c.relispartition)::int as tables,
    coalesce(pg_catalog.sum(c.reltuples) filter (where c.relkind = 'r' and c.reltuples > 0), 0)::float8 as rows,
    pg_catalog.count(*) filter (where c.relkind = 'r' and c.reltuples < 0)::int as unknown
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p')
    and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db')`;
