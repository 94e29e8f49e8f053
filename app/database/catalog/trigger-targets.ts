import type { Queryable } from '../queryable.js';
import { argumentsSql, conditionSql } from './trigger-sql.js';

/** A relation on which a trigger may be declared. */
export interface TriggerTarget {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** relkind: r table, p partitioned table, v view, f foreign table, m materialized view. */
  readonly kind: 'r' | 'p' | 'v' | 'f' | 'm';
  readonly isPartition: boolean;
  readonly isFromExtension: boolean;
  /** Of the columns asked for, those that exist: their type without length, a domain's by its base type. */
  readonly columns: Readonly<Record<string, { readonly type: string; readonly isGenerated: boolean }>>;
}

/** A trigger as it is installed. Clones on partitions are listed too: their names are taken. */
export interface InstalledTrigger {
  readonly oid: number;
  readonly tableOid: number;
  readonly name: string;
  /** pg_trigger.tgtype: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead of. */
  readonly type: number;
  readonly updateOf: readonly string[];
  readonly args: readonly string[];
  readonly functionOid: number;
  readonly mode: 'O' | 'D' | 'R' | 'A';
  /** The other modes that its clones on partitions have. */
  readonly cloneModes: readonly ('O' | 'D' | 'R' | 'A')[];
  readonly isConstraint: boolean;
  readonly isDeferrable: boolean;
  readonly isInitiallyDeferred: boolean;
  readonly isClone: boolean;
  readonly oldTable: string | null;
  readonly newTable: string | null;
  /** As pg_get_triggerdef writes it. */
  readonly definition: string;
  /** The condition as the server prints it, with its parentheses, or `null`. */
  readonly when: string | null;
}

/**
 * The relations of the application, or those of them that are in `tables`, with those of `columns` that they have. Reads
 * under the caller's search_path.
 */
export async function readTriggerTargets(
  db: Queryable,
  columns: readonly string[],
  tables: readonly number[] | null,
): Promise<TriggerTarget[]> {
  const { rows } = await db.query<TriggerTarget>(
    `
    select c.oid, n.nspname as schema, c.relname as name, c.relkind as kind, c.relispartition as "isPartition",
      exists (
        select from pg_catalog.pg_depend d
        where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0
          and d.deptype = 'e'
      ) as "isFromExtension",
      coalesce((
        select pg_catalog.jsonb_object_agg(a.attname, pg_catalog.jsonb_build_object(
          'type', pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), t.oid), null),
          'isGenerated', a.attgenerated <> ''))
        from pg_catalog.pg_attribute a
        join pg_catalog.pg_type t on t.oid = a.atttypid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attname = any ($1)
      ), '{}') as columns
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'f', 'm') and c.relpersistence <> 't'
      and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'manage_db')
      and ($2::pg_catalog.oid[] is null or c.oid = any ($2))
    order by n.nspname, c.relname`,
    [columns, tables],
  );
  return rows;
}

/** The triggers that have one of `names`, on those relations, or on any. The caller's search_path must be empty for `when` to be exact. */
export async function readInstalledTriggers(
  db: Queryable,
  names: readonly string[],
  tables: readonly number[] | null,
): Promise<InstalledTrigger[]> {
  const { rows } = await db.query<InstalledTrigger>(
    `
    with recursive clones (root, oid, mode) as (
      select t.tgparentid, t.oid, t.tgenabled from pg_catalog.pg_trigger t where t.tgparentid <> 0 and t.tgname = any ($1)
      union all
      select clones.root, t.oid, t.tgenabled from clones join pg_catalog.pg_trigger t on t.tgparentid = clones.oid
    ),
    modes (root, modes) as (
      select clones.root, pg_catalog.array_agg(distinct clones.mode::text) from clones group by clones.root
    )
    select t.oid, t.tgrelid as "tableOid", t.tgname as name, t.tgtype as type,
      ${argumentsSql(`pg_catalog.encode(t.tgargs, 'hex')`)} as args,
      array(
        select a.attname::text from pg_catalog.unnest(t.tgattr::int2[]) as u (attnum)
        join pg_catalog.pg_attribute a on a.attrelid = t.tgrelid and a.attnum = u.attnum
      ) as "updateOf",
      t.tgfoid as "functionOid", t.tgenabled as mode,
      pg_catalog.array_remove(coalesce(modes.modes, '{}'), t.tgenabled::text) as "cloneModes", t.tgconstraint <> 0 as "isConstraint",
      t.tgparentid <> 0 as "isClone", t.tgdeferrable as "isDeferrable",
      t.tginitdeferred as "isInitiallyDeferred", t.tgoldtable::text as "oldTable", t.tgnewtable::text as "newTable",
      printed.definition,
      ${conditionSql('t', 'printed.definition')} as "when"
    from pg_catalog.pg_trigger t
    cross join lateral (select pg_catalog.pg_get_triggerdef(t.oid) as definition offset 0) printed
    left join modes on modes.root = t.oid
    -- up to version 14, clones count as internal
    where (not t.tgisinternal or t.tgparentid <> 0) and t.tgname = any ($1) and ($2::pg_catalog.oid[] is null or t.tgrelid = any ($2))`,
    [names, tables],
  );
  return rows;
}

/** A trigger and the function that it calls. */
export interface TriggerCall {
  readonly tableOid: number;
  readonly name: string;
  readonly functionSchema: string;
  readonly functionName: string;
}

/** What the triggers of those relations, or of any, call. Without constraints' own triggers and clones on partitions. */
export async function readTriggerCalls(db: Queryable, tables: readonly number[] | null): Promise<TriggerCall[]> {
  const { rows } = await db.query<TriggerCall>(
    `
    select t.tgrelid as "tableOid", t.tgname as name, n.nspname as "functionSchema", p.proname as "functionName"
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where not t.tgisinternal and t.tgparentid = 0 and ($1::pg_catalog.oid[] is null or t.tgrelid = any ($1))
    order by t.tgrelid, t.tgname`,
    [tables],
  );
  return rows;
}
