import type { Queryable } from '../queryable.js';

export interface SpecialMode {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly mode: 'O' | 'D' | 'R' | 'A';
}

/**
 * Of the triggers `oids` and their clones on partitions, those that are not in the ordinary mode. CREATE OR REPLACE
 * TRIGGER resets all of them to it.
 */
export async function readSpecialModes(db: Queryable, oids: readonly number[]): Promise<SpecialMode[]> {
  const { rows } = await db.query<SpecialMode>(
    `
    with recursive tree (oid) as (
      select pg_catalog.unnest($1::pg_catalog.oid[])
      union all
      select t.oid from pg_catalog.pg_trigger t join tree on t.tgparentid = tree.oid
    )
    select n.nspname as schema, c.relname as table, t.tgname as name, t.tgenabled as mode
    from tree
    join pg_catalog.pg_trigger t on t.oid = tree.oid
    join pg_catalog.pg_class c on c.oid = t.tgrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where t.tgenabled <> 'O'
    order by t.tgrelid, t.tgname`,
    [oids],
  );
  return rows;
}
