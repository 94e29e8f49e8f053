import { escapeIdentifier } from 'pg';
import { type TriggerMode as LiveTriggerMode, MODE_LETTERS } from '../../database/catalog/trigger-sql.js';
import type { Queryable } from '../../database/queryable.js';

export interface TriggerMode {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly mode: 'O' | 'D' | 'R' | 'A';
}

/**
 * Of the triggers `oids` and their clones on partitions, those that are not in the ordinary mode. CREATE OR REPLACE
 * TRIGGER resets all of them to it.
 */
export async function readSpecialModes(db: Queryable, oids: readonly number[]): Promise<TriggerMode[]> {
  const { rows } = await db.query<TriggerMode>(
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

/** The letter in pg_trigger.tgenabled. */
export function modeLetter(mode: LiveTriggerMode): TriggerMode['mode'] {
  return MODE_LETTERS[mode];
}

/** Sets the mode of one trigger; `'tree'`: and of its clones on partitions. */
export function setMode({ schema, table, name, mode }: TriggerMode, reach: 'one' | 'tree'): string {
  const words = { O: 'enable', D: 'disable', R: 'enable replica', A: 'enable always' } as const;
  const relation = `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
  return `alter table ${reach === 'one' ? 'only ' : ''}${relation} ${words[mode]} trigger ${escapeIdentifier(name)}`;
}
