import type { Queryable } from '../queryable.js';
import { argumentsSql, conditionSql, modeSql, type TriggerMode } from './trigger-sql.js';

export type { TriggerMode } from './trigger-sql.js';

/** What pg_trigger says about a trigger, in a form that is the same wherever and by whomever it is read. */
export interface TriggerFields {
  /** pg_trigger.tgtype, see `TGTYPE`. */
  readonly type: number;
  /** The names, sorted. */
  readonly updateOf: readonly string[];
  /** As the server prints it under an empty search_path, with its parentheses. */
  readonly when: string | null;
  /** Hexadecimal; each argument ends with a zero byte. */
  readonly args: string;
  readonly oldTable: string | null;
  readonly newTable: string | null;
  readonly isConstraint: boolean;
  readonly isDeferrable: boolean;
  readonly isInitiallyDeferred: boolean;
}

/** A trigger as the catalog has it now. */
export interface LiveTrigger {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly mode: TriggerMode;
  readonly fields: TriggerFields;
  readonly args: readonly string[];
  /** As pg_get_triggerdef writes it. */
  readonly definition: string;
  readonly functionSchema: string;
  readonly functionName: string;
  /** The partitions on which its clone has another mode. */
  readonly otherModes: readonly { readonly schema: string; readonly table: string; readonly mode: TriggerMode }[];
}

export interface LiveTriggerFunction {
  readonly schema: string;
  readonly name: string;
  /** As pg_get_functiondef writes it. */
  readonly definition: string;
  readonly owner: string;
  readonly isSecurityDefiner: boolean;
  /** An extension's: what it does is the extension's business. */
  readonly isFromExtension: boolean;
}

/**
 * A select of every trigger that somebody has made: not those of constraints, the clones on partitions, what belongs to an
 * extension, temporary tables and manage_db's own. Under an empty search_path only.
 */
export const TRIGGERS = `
  select t.oid, t.tgrelid as table_oid, n.nspname::text as schema_name, c.relname::text as table_name,
    t.tgname::text as trigger_name, ${modeSql('t')} as mode,
    pg_catalog.jsonb_build_object(
      'type', t.tgtype,
      'updateOf', case when t.tgattr = '' then '[]' else (
        select pg_catalog.jsonb_agg(a.attname::text order by a.attname)
        from pg_catalog.pg_attribute a where a.attrelid = t.tgrelid and a.attnum = any (t.tgattr)) end,
      'when', ${conditionSql('t', 'printed.definition')},
      'args', pg_catalog.encode(t.tgargs, 'hex'),
      'oldTable', t.tgoldtable, 'newTable', t.tgnewtable,
      'isConstraint', t.tgconstraint <> 0,
      'isDeferrable', t.tgdeferrable, 'isInitiallyDeferred', t.tginitdeferred) as fields,
    printed.definition, fn.nspname::text as function_schema, f.proname::text as function_name
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid and c.relpersistence <> 't'
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname <> 'manage_db'
  join pg_catalog.pg_proc f on f.oid = t.tgfoid
  join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
  cross join lateral (select pg_catalog.pg_get_triggerdef(t.oid) as definition offset 0) printed
  where not t.tgisinternal and t.tgparentid = 0
    and not exists (
      select from pg_catalog.pg_depend d
      where d.deptype = 'e' and d.objsubid = 0 and (
        (d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and d.objid = t.oid)
        or (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = t.tgrelid)))`;

/** Every trigger that somebody has made, by table and name. */
export async function readLiveTriggers(db: Queryable): Promise<readonly LiveTrigger[]> {
  const { rows } = await db.query<LiveTrigger>(`
    with recursive tree (root, oid) as (
      select t.tgparentid, t.oid from pg_catalog.pg_trigger t
      join pg_catalog.pg_trigger parent on parent.oid = t.tgparentid and parent.tgparentid = 0
      -- until PostgreSQL 14 the clones themselves are internal
      where not parent.tgisinternal
      union all
      select tree.root, t.oid from tree join pg_catalog.pg_trigger t on t.tgparentid = tree.oid
    ),
    other (root, modes) as (
      select tree.root, pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
        'schema', n.nspname, 'table', c.relname, 'mode', ${modeSql('t')}) order by n.nspname, c.relname)
      from tree
      join pg_catalog.pg_trigger root on root.oid = tree.root
      join pg_catalog.pg_trigger t on t.oid = tree.oid and t.tgenabled <> root.tgenabled
      join pg_catalog.pg_class c on c.oid = t.tgrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      group by tree.root
    )
    select l.schema_name as schema, l.table_name as "table", l.trigger_name as name, l.mode, l.fields,
      ${argumentsSql(`(l.fields ->> 'args')`)} as args, l.definition,
      l.function_schema as "functionSchema", l.function_name as "functionName",
      coalesce(other.modes, '[]') as "otherModes"
    from (${TRIGGERS}) l
    left join other on other.root = l.oid
    order by l.schema_name, l.table_name, l.trigger_name`);
  return rows;
}

/** A select of every trigger function. Under an empty search_path only. */
export const TRIGGER_FUNCTIONS = `
  select fn.nspname::text as schema_name, f.proname::text as function_name,
    pg_catalog.pg_get_functiondef(f.oid) as definition, pg_catalog.pg_get_userbyid(f.proowner) as owner,
    f.prosecdef as is_security_definer,
    exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = f.oid and d.objsubid = 0
        and d.deptype = 'e') as is_from_extension
  from pg_catalog.pg_proc f
  join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
  where f.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype and f.pronargs = 0 and f.prokind = 'f'`;

/** Every trigger function outside of the system's schemas. */
export async function readTriggerFunctions(db: Queryable): Promise<readonly LiveTriggerFunction[]> {
  const { rows } = await db.query<LiveTriggerFunction>(`
    select l.schema_name as schema, l.function_name as name, l.definition, l.owner,
      l.is_security_definer as "isSecurityDefiner", l.is_from_extension as "isFromExtension"
    from (${TRIGGER_FUNCTIONS} and fn.nspname not in ('pg_catalog', 'information_schema', 'manage_db')) l`);
  return rows;
}
