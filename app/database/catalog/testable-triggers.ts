import type { Queryable } from '../queryable.js';
import { type CatalogFilter, filterValues, inUserSchema } from './catalog-filter.js';
import { withQualifiedNames } from './qualified-names.js';
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
  readonly mode: 'O' | 'D' | 'R' | 'A';
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

/* The bits of tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead of. */
const TESTABLE_TRIGGERS = withQualifiedNames(
  `
  select c.oid as "relationOid", n.nspname::text as schema, c.relname::text as "table", t.tgname::text as name,
    case when t.tgtype & 2 <> 0 then 'before' when t.tgtype & 64 <> 0 then 'instead of' else 'after' end as timing,
    case when t.tgtype & 1 <> 0 then 'row' else 'statement' end as level,
    pg_catalog.array_remove(array[
      case when t.tgtype & 4 <> 0 then 'INSERT' end, case when t.tgtype & 16 <> 0 then 'UPDATE' end,
      case when t.tgtype & 8 <> 0 then 'DELETE' end, case when t.tgtype & 32 <> 0 then 'TRUNCATE' end
    ], null) as events,
    t.tgenabled as mode, t.tgdeferrable as "isDeferrable",
    array(
      select a.attname::text from pg_catalog.unnest(t.tgattr::int2[]) as u (attnum)
      join pg_catalog.pg_attribute a on a.attrelid = t.tgrelid and a.attnum = u.attnum
    ) as "updateOf",
    case when t.tgqual is not null then
      pg_catalog.substring(pg_catalog.pg_get_triggerdef(t.oid), ' WHEN (\\(.*\\)) EXECUTE FUNCTION ')
    end as "when",
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
