import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';

export type TriggerEvent = 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE';

export interface Trigger {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly timing: 'BEFORE' | 'AFTER' | 'INSTEAD OF';
  readonly events: readonly TriggerEvent[];
  readonly level: 'ROW' | 'STATEMENT';
  /** With its schema, quoted where it must be: `public.update_timestamp`. */
  readonly function: string;
  /** In which sessions it fires: `origin` in ordinary ones, `replica` only when replicating, `always`, `disabled`. */
  readonly enabled: 'origin' | 'disabled' | 'replica' | 'always';
  /** As pg_get_triggerdef writes it, every name with its schema. */
  readonly definition: string;
}

/**
 * Triggers of tables and views, by table and in the order in which PostgreSQL fires them (by name). Those that PostgreSQL
 * made for foreign keys, and those that a partition has from its parent, are left out.
 */
export async function readTriggers(db: Queryable, filter: CatalogFilter = {}): Promise<readonly Trigger[]> {
  const { rows } = await db.query<Trigger>(TRIGGERS, filterValues(filter));
  return rows;
}

/* The bits of tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead of. */
const TRIGGERS = withQualifiedNames(
  `
  select n.nspname::text as schema, c.relname::text as "table", t.tgname::text as name,
    case when t.tgtype & 2 <> 0 then 'BEFORE' when t.tgtype & 64 <> 0 then 'INSTEAD OF' else 'AFTER' end as timing,
    pg_catalog.array_remove(array[
      case when t.tgtype & 4 <> 0 then 'INSERT' end, case when t.tgtype & 16 <> 0 then 'UPDATE' end,
      case when t.tgtype & 8 <> 0 then 'DELETE' end, case when t.tgtype & 32 <> 0 then 'TRUNCATE' end
    ], null) as events,
    case when t.tgtype & 1 <> 0 then 'ROW' else 'STATEMENT' end as level,
    pg_catalog.format('%I.%I', fn.nspname, f.proname) as function,
    case t.tgenabled when 'O' then 'origin' when 'D' then 'disabled' when 'R' then 'replica' else 'always' end as enabled,
    pg_catalog.pg_get_triggerdef(t.oid) as definition
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_proc f on f.oid = t.tgfoid
  join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
  where not t.tgisinternal and t.tgparentid = 0
    and ${inUserSchema('n')}
    and ($2::text is null or c.relname = $2::text)`,
  'schema, "table", name collate "C"',
);
