import type { Queryable } from '../queryable.js';

/**
 * A fingerprint of each function, by oid: definition, owner, privileges, comment. `touched`: only those that this transaction
 * wrote; their xmin is its id or that of a savepoint, which is younger.
 */
export async function readFunctionPrints(
  db: Queryable,
  scope: 'all' | 'touched' = 'all',
): Promise<Map<string, string>> {
  const { rows } = await db.query<{ oid: string; print: string }>(
    `
    select p.oid::text as oid, pg_catalog.md5(pg_catalog.concat_ws(E'\\n',
      pg_catalog.pg_get_functiondef(p.oid), p.proowner, p.proacl, pg_catalog.obj_description(p.oid, 'pg_proc'))) as print
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname not in ('pg_catalog', 'information_schema')
      and p.prokind in ('f', 'p')
      and ($1 = 'all' or pg_catalog.age(p.xmin) <= 0)
      and not exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e'
      )`,
    [scope],
  );
  return new Map(rows.map(({ oid, print }) => [oid, print]));
}
