import type { Queryable } from '../queryable.js';

/** What protects the log, as the database has it. */
export interface LogGuards {
  readonly tables: readonly LogTable[];
  readonly triggers: readonly LogTrigger[];
  readonly functions: readonly LogFunction[];
}

export interface LogTable {
  readonly table: string;
  /** A logged table without rules, row level security and children: what is written into it is what is read. */
  readonly isPlain: boolean;
}

export interface LogTrigger {
  readonly table: string;
  readonly trigger: string;
  /** `pg_trigger.tgenabled`: `A` fires in every session. */
  readonly mode: string;
  /** Names in full. */
  readonly definition: string;
}

export interface LogFunction {
  readonly function: string;
  readonly body: string;
  /** It finds nothing but what PostgreSQL itself has, whoever calls it. */
  readonly hasSafePath: boolean;
}

/** The functions through which entries come, by their signatures. */
const FUNCTIONS = [
  'append_operation(jsonb)',
  'chain_operation()',
  'operation_log_hash(manage_db.operation_log)',
  'refuse_change()',
];

/**
 * The tables of the log, their triggers, and the functions behind them.
 *
 * @param db with a search_path of pg_catalog only: definitions are written in full then
 */
export async function readLogGuards(db: Queryable): Promise<LogGuards> {
  const { rows } = await db.query<{ [Key in keyof LogGuards]: LogGuards[Key] }>(GUARDS, [FUNCTIONS]);
  return rows[0] ?? { tables: [], triggers: [], functions: [] };
}

const GUARDS = `
  with log_table as (
    select c.oid, c.relname::text as "table",
      c.relkind = 'r' and c.relpersistence = 'p' and not c.relrowsecurity
        and not exists (select from pg_catalog.pg_rewrite r where r.ev_class = c.oid)
        and not exists (select from pg_catalog.pg_inherits i where i.inhparent = c.oid) as "isPlain"
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'manage_db' and c.relname in ('operation_log', 'operation_log_head')
  ),
  log_trigger as (
    select c."table", t.tgname::text as trigger, t.tgenabled::text as mode, pg_catalog.pg_get_triggerdef(t.oid) as definition
    from log_table c join pg_catalog.pg_trigger t on t.tgrelid = c.oid
    where not t.tgisinternal
  ),
  log_function as (
    select p.proname::text as function, p.prosrc as body,
      'search_path=pg_catalog, pg_temp' = any (p.proconfig) is true as "hasSafePath"
    from pg_catalog.unnest($1::text[]) signature
    join pg_catalog.pg_proc p on p.oid = pg_catalog.to_regprocedure('manage_db.' || signature)
  )
  select
    (select coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('table', c."table", 'isPlain', c."isPlain") order by 1), '[]')
     from log_table c) as tables,
    (select coalesce(pg_catalog.jsonb_agg(t order by t."table", t.trigger), '[]') from log_trigger t) as triggers,
    (select coalesce(pg_catalog.jsonb_agg(f order by f.function), '[]') from log_function f) as functions`;
