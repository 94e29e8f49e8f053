import { notFromExtension } from '../../../../database/catalog/catalog-filter.js';
import { listed } from '../../../listed.js';
import { ok, type RunCheck, statements } from '../check.js';
import { SUPPORTS_KEY } from './supporting-index.js';

/** Reading through so many rows takes some ten milliseconds, for each row of the other table that is deleted. */
const MANY_ROWS = 100_000;

export const checkForeignKeyIndexes: RunCheck = async (db) => {
  const { rows } = await db.query<{ key: string; rows: number | null; fix: string }>(KEYS_WITHOUT_INDEX);
  const [largest] = rows;
  if (largest === undefined) return ok(0, 'Every foreign key has an index on its own columns.');
  return {
    status: (largest.rows ?? 0) >= MANY_ROWS ? 'warning' : 'info',
    value: rows.length,
    detail: `Deleting a row that they point at reads the whole table, which is locked longer for it: ${listed(rows.map((row) => `${row.key} (${row.rows === null ? 'never analyzed' : `${row.rows} rows`})`))}.`,
    fix: statements(rows.map(({ fix }) => fix)),
  };
};

/* Where reltuples is -1, nobody has counted yet. A partition has its key from its parent, and its index as well: conparentid says so. */
const KEYS_WITHOUT_INDEX = `
  select pg_catalog.format('%I on %s', k.conname, k.conrelid::pg_catalog.regclass) as key,
    size.rows::float8 as rows,
    pg_catalog.format(case c.relkind when 'p' then 'create index on %s (%s)' else 'create index concurrently on %s (%s)' end,
      k.conrelid::pg_catalog.regclass, columns.list) as fix
  from pg_catalog.pg_constraint k
  join pg_catalog.pg_class c on c.oid = k.conrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by u.place) as list
    from pg_catalog.unnest(k.conkey) with ordinality u (attnum, place)
    join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
  ) columns
  cross join lateral (
    select case when c.relkind <> 'p' then nullif(c.reltuples, -1)
      else (
        select case when pg_catalog.bool_and(leaf.reltuples = -1) then null
          else coalesce(pg_catalog.sum(leaf.reltuples) filter (where leaf.reltuples > 0), 0) end
        from pg_catalog.pg_partition_tree(c.oid) t join pg_catalog.pg_class leaf on leaf.oid = t.relid and t.isleaf
      ) end as rows
  ) size
  where k.contype = 'f' and k.conparentid = 0 and c.relkind in ('r', 'p')
    and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db')
    and ${notFromExtension('c', 'pg_class')}
    and not exists (
      select from pg_catalog.pg_index x
      join pg_catalog.pg_class i on i.oid = x.indexrelid
      where x.indrelid = k.conrelid and ${SUPPORTS_KEY})
  order by size.rows desc nulls last, 1`;
