import { listed } from '../../../listed.js';
import { ok, type RunCheck, statements } from '../check.js';

export const checkPrimaryKeys: RunCheck = async (db) => {
  const { rows } = await db.query<{ table: string; fix: string }>(TABLES_WITHOUT_PRIMARY_KEY);
  if (rows.length === 0) return ok(0, 'Every table has a primary key.');
  return {
    status: 'info',
    value: rows.length,
    detail: `Without a primary key, their rows cannot be told apart, nor replicated logically: ${listed(rows.map(({ table }) => table))}.`,
    fix: statements(rows.map(({ fix }) => fix)),
  };
};

/* A partition has its parent's key, and what came with an extension is not the user's to change. */
const TABLES_WITHOUT_PRIMARY_KEY = `
  select pg_catalog.format('%I.%I', n.nspname, c.relname) as table,
    pg_catalog.format(
      case when exists (
        select from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attname = 'id' and not a.attisdropped
      ) then 'alter table %I.%I add primary key (id)'
      else 'alter table %I.%I add column id bigint generated always as identity primary key' end,
      n.nspname, c.relname
    ) as fix
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and not c.relispartition
    and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname not in ('information_schema', 'manage_db')
    and not exists (select from pg_catalog.pg_index x where x.indrelid = c.oid and x.indisprimary)
    and not exists (
      select from pg_catalog.pg_depend member
      where member.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and member.objid = c.oid
        and member.objsubid = 0 and member.deptype = 'e'
    )
  order by 1`;
