import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';
import { eventsSql, levelSql, modeSql, type TriggerMode, timingSql } from './trigger-sql.js';

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
  readonly enabled: TriggerMode;
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

const TRIGGERS = withQualifiedNames(
  `
  select n.nspname::text as schema, c.relname::text as "table", t.tgname::text as name,
    pg_catalog.upper(${timingSql('t')}) as timing, ${eventsSql('t')} as events,
    pg_catalog.upper(${levelSql('t')}) as level,
    pg_catalog.format('%I.%I', fn.nspname, f.proname) as function,
    ${modeSql('t')} as enabled,
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
