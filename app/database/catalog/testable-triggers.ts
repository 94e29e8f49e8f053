import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';
import { conditionSql, eventsSql, levelSql, type TriggerModeLetter, timingSql } from './trigger-sql.js';
import type { TriggerEvent } from './triggers.js';

/** A trigger with what is needed to make it fire, and to recognise it when it has. */
export interface TestableTrigger {
  readonly relationOid: number;
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly timing: 'before' | 'after' | 'instead of';
  readonly level: 'row' | 'statement';
  readonly events: readonly TriggerEvent[];
  readonly mode: TriggerModeLetter;
  /** Fires at the end of the transaction unless `set constraints` says otherwise. */
  readonly isDeferrable: boolean;
  readonly updateOf: readonly string[];
  /** The condition with its parentheses, every name with its schema. */
  readonly when: string | null;
  readonly functionOid: number;
  readonly language: string;
  /** How the function may stand in the context of an error: with its schema, without, and as other languages than PL/pgSQL write it. */
  readonly signatures: readonly string[];
  readonly transitionTables: { readonly old: string | null; readonly new: string | null };
  /** Where it may be reported as called: its own table, and the partitions that have a copy of it. */
  readonly places: readonly { readonly relation: string; readonly trigger: string }[];
}

/** Triggers of the users' relations, without copies on partitions and without those of foreign keys. */
export async function readTestableTriggers(
  db: Queryable,
  filter: CatalogFilter = {},
): Promise<readonly TestableTrigger[]> {
  const { rows } = await db.query<TestableTrigger>(TESTABLE_TRIGGERS, filterValues(filter));
  return rows;
}

const TESTABLE_TRIGGERS = withQualifiedNames(
  `
  select c.oid as "relationOid", n.nspname::text as schema, c.relname::text as "table", t.tgname::text as name,
    ${timingSql('t')} as timing, ${levelSql('t')} as level, ${eventsSql('t')} as events,
    t.tgenabled as mode, t.tgdeferrable as "isDeferrable",
    array(
      select a.attname::text from pg_catalog.unnest(t.tgattr::int2[]) as u (attnum)
      join pg_catalog.pg_attribute a on a.attrelid = t.tgrelid and a.attnum = u.attnum
    ) as "updateOf",
    ${conditionSql('t', 'pg_catalog.pg_get_triggerdef(t.oid)')} as "when",
    f.oid as "functionOid", l.lanname::text as language,
    array[
      pg_catalog.format('%I.%I()', fn.nspname, f.proname), pg_catalog.format('%I()', f.proname),
      pg_catalog.format('"%s"', f.proname)
    ] as signatures,
    pg_catalog.jsonb_build_object('old', t.tgoldtable, 'new', t.tgnewtable) as "transitionTables",
    (
      with recursive copies as (
        select t.oid, t.tgrelid, t.tgname
        union all
        select copy.oid, copy.tgrelid, copy.tgname
        from copies join pg_catalog.pg_trigger copy on copy.tgparentid = copies.oid
      )
      select pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('relation', place.relname, 'trigger', copies.tgname))
      from copies join pg_catalog.pg_class place on place.oid = copies.tgrelid
    ) as places
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_proc f on f.oid = t.tgfoid
  join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
  join pg_catalog.pg_language l on l.oid = f.prolang
  where not t.tgisinternal and t.tgparentid = 0
    and ${inUserSchema('n')}
    and ($2::text is null or c.relname = $2::text)`,
  'schema, "table", name collate "C"',
);
