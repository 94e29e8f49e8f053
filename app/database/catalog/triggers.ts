import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';
import { eventsSql, levelSql, modeSql, TGTYPE, type TriggerMode, timingSql } from './trigger-sql.js';

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
  /** Of a constraint trigger: when it fires, as {@link Constraint.checked}. Null: it is none. */
  readonly constraint: 'immediate' | 'deferrable' | 'deferred' | null;
  /** Of a partition: it has the trigger from its parent. */
  readonly inherited: boolean;
  readonly comment: string | null;
  /** As pg_get_triggerdef writes it, every name with its schema. */
  readonly definition: string;
}

/**
 * Triggers of tables and views, by table and in the order in which PostgreSQL fires those that a statement calls: before
 * the statement, before or instead of the row, after the row, after the statement, at the end of the transaction; among
 * themselves by the bytes of their names. Those that PostgreSQL made for foreign keys and deferrable constraints are left
 * out, and so are those that a partition has from its parent, unless `withInherited`.
 */
export async function readTriggers(
  db: Queryable,
  filter: CatalogFilter = {},
  { withInherited = false }: { readonly withInherited?: boolean } = {},
): Promise<readonly Trigger[]> {
  const { rows } = await db.query<Trigger & { turn: number }>(TRIGGERS, [...filterValues(filter), withInherited]);
  return rows.map(({ turn, ...trigger }) => trigger);
}

const BEFORE_OR_INSTEAD = TGTYPE.before | TGTYPE.insteadOf;

const TRIGGERS = withQualifiedNames(
  `
  select n.nspname::text as schema, c.relname::text as "table", t.tgname::text as name,
    pg_catalog.upper(${timingSql('t')}) as timing, ${eventsSql('t')} as events,
    pg_catalog.upper(${levelSql('t')}) as level,
    pg_catalog.format('%I.%I', fn.nspname, f.proname) as function,
    ${modeSql('t')} as enabled,
    case when t.tgconstraint = 0 then null when t.tginitdeferred then 'deferred' when t.tgdeferrable then 'deferrable'
      else 'immediate' end as "constraint",
    t.tgparentid <> 0 as inherited,
    pg_catalog.obj_description(t.oid, 'pg_trigger') as comment,
    case
      when t.tginitdeferred then 5
      when t.tgtype & ${BEFORE_OR_INSTEAD} <> 0 then case when t.tgtype & ${TGTYPE.row} = 0 then 1 else 2 end
      else case when t.tgtype & ${TGTYPE.row} <> 0 then 3 else 4 end
    end as turn,
    pg_catalog.pg_get_triggerdef(t.oid) as definition
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_proc f on f.oid = t.tgfoid
  join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
  left join pg_catalog.pg_constraint con on con.oid = t.tgconstraint
  -- until PostgreSQL 14, what a partition has from its parent is internal
  where (case when $3 then con.oid is null or con.contype = 't' else not t.tgisinternal and t.tgparentid = 0 end)
    and ${inUserSchema('n')}
    and ($2::text is null or c.relname = $2::text)`,
  'schema, "table", turn, name collate "C"',
);
