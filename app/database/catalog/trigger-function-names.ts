import type { Queryable } from '../queryable.js';

export interface TriggerFunctionName {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** Those trigger functions of `names` that exist. */
export async function readFunctionsByName(
  db: Queryable,
  names: readonly { readonly schema: string; readonly name: string }[],
): Promise<readonly TriggerFunctionName[]> {
  const { rows } = await db.query<TriggerFunctionName>(
    `
    select p.oid, n.nspname as schema, p.proname as name
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where p.pronargs = 0 and p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype
      and (n.nspname, p.proname) in (select s, f from rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) as wanted (s, f))`,
    [names.map(({ schema }) => schema), names.map(({ name }) => name)],
  );
  return rows;
}
