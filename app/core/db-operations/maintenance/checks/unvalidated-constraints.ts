import { listed } from '../../../listed.js';
import { ok, type RunCheck, statements } from '../check.js';

export const checkUnvalidatedConstraints: RunCheck = async (db) => {
  const { rows } = await db.query<{ constraint: string; fix: string }>(UNVALIDATED_CONSTRAINTS);
  if (rows.length === 0) return ok(0, 'Every constraint has been validated.');
  return {
    status: 'warning',
    value: rows.length,
    detail: `NOT VALID, so older rows may break them: ${listed(rows.map((row) => row.constraint))}.`,
    fix: statements(rows.map(({ fix }) => fix)),
  };
};

/* conenforced exists since PostgreSQL 18: what is NOT ENFORCED cannot be validated and was meant so. */
const UNVALIDATED_CONSTRAINTS = `
  select pg_catalog.format('%I on %I.%I', con.conname, n.nspname, c.relname) as constraint,
    pg_catalog.format('alter table %I.%I validate constraint %I', n.nspname, c.relname, con.conname) as fix
  from pg_catalog.pg_constraint con
  join pg_catalog.pg_class c on c.oid = con.conrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where not con.convalidated and con.conparentid = 0
    and coalesce((pg_catalog.to_jsonb(con) ->> 'conenforced')::boolean, true)
    and pg_catalog.left(n.nspname, 3) <> 'pg_' and n.nspname <> 'information_schema'
  order by 1`;
